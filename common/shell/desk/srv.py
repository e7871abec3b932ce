"""Super-peers that the name service knows: the SRV records `_superpeer._tcp.DOMAIN` (RFC 2782).

The domain was given by a person, so what its records lead to is believed like a name that he typed.
How many of them are asked is bounded, and the time. `dnspython` is loaded when it is wanted: the
standard library cannot ask for a record.
"""

from typing import TYPE_CHECKING, Final

from common.errors import UserError
from common.ladder import FOUND_MAX
from common.meeting import Seed
from common.shell.desk.resolve import seeds
from common.shell.desk.site import Listed, one_line

if TYPE_CHECKING:
    from dns.resolver import Resolver

SERVICE: Final = "_superpeer._tcp"
SRV_S: Final = 5.0
RECORDS_MAX: Final = 32  # of one domain; a name of each has to be looked up


def ask_srv(domain: str, resolver: "Resolver | None" = None) -> Listed:
    """What the records of a domain name now. Blocks; raises nothing."""
    from dns.exception import DNSException
    from dns.rdtypes.IN.SRV import SRV
    from dns.resolver import Resolver

    name = f"{SERVICE}.{domain.strip('.')}"
    try:
        answer = (resolver or Resolver()).resolve(name, "SRV", lifetime=SRV_S, search=False)
    except (DNSException, OSError, UnicodeError) as error:
        reason = one_line(error or type(error).__name__)
        return Listed((), f"no answer for the SRV records of {name}: {reason}")
    records = [each for each in answer if isinstance(each, SRV)]
    records.sort(key=lambda each: (each.priority, -each.weight))
    found: list[Seed] = []
    unknown = 0
    for record in records[:RECORDS_MAX]:
        host = record.target.to_text(omit_final_dot=True)
        try:
            found += seeds([f"{host}:{record.port}"])
        except UserError:
            unknown += 1
    problem = f"{unknown} of the hosts of {name} are unknown" if unknown else ""
    usable = tuple(each for each in found if each.address.is_a_place)
    return Listed(usable[:FOUND_MAX], problem)
