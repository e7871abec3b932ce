"""One sample of every message, for golden bytes and for the shapes that must survive the wire."""

from common.addresses import Address
from common.content.catalogue import Entry
from common.messages import cluster, control, hierarchy, link, overlay, relay, swarm
from common.messages.fields import Contact, Message
from common.terms import Terms
from common.vitals import Receipt, Record, Vouched

NODE = bytes(range(32))
GUID = bytes(range(16))
ROOT = b"\xaa" * 32
SIGNATURE = b"\xbb" * 64
V4 = Address.of("127.0.0.1", 1214)
V6 = Address.of("::1", 1215)
CONTACT = Contact(NODE, V4)
ENTRY = Entry(ROOT, 123456, "Die Forelle.flac", "Schubert/Lieder", 1_700_000_000)
HIT = cluster.Hit(Contact(NODE, V6), ENTRY, 7, 3, (ROOT, NODE), SIGNATURE)
TERMS = Terms(("forelle", "flac"), ("live",), "audio", ("flac",), 1, 2**30)
HOP = cluster.Hop(NODE, 1, "duplicate", 3, 2, 40, 1)
REACH = overlay.Extent(NODE[:4], NODE[4:12])
COVERAGE = cluster.Coverage(12, 12, 48, 0.25, True)

RECEIPT = Receipt(NODE, ROOT, 1_000_000, 2_000_000, 1_700_000_000_000, SIGNATURE)
RECORD = Record(NODE, ROOT, True, 500_000, 3, 600, 2, 3600, 0, SIGNATURE)

SAMPLES: tuple[Message, ...] = (
    link.Hello(1, 1, NODE, "public", b"", 1214, 1215, V4, "superpeer 0.1"),
    link.Refused("this is yourself"),
    link.Echo(1_000_000, 900_000, 50),
    link.Bye("stopping"),
    link.Ping(GUID, "public", b"\0" * 8),
    link.Pong(GUID, "public", NODE, CONTACT, 3, 150, 60, V4, (CONTACT,), "", (1,)),
    cluster.Join(1_700_000_000, 5, 2, V4, True, 3),
    cluster.Welcome(5, 5.0, 20_000, (CONTACT,)),
    cluster.Busy(10.0, (CONTACT,)),
    cluster.Publish(6, (cluster.Put(7, ENTRY),), (1, 2), SIGNATURE, True),
    cluster.Published(6, ""),
    cluster.Search(GUID, TERMS, 50, 10, "ring", True),
    cluster.SearchHits(GUID, (HIT,)),
    cluster.SearchDone(GUID, COVERAGE, "", (HOP,)),
    cluster.Locate(GUID, ROOT, 123456, 10, (NODE,)),
    cluster.Sources(GUID, (CONTACT,), True, "a.txt"),
    cluster.Forget(GUID),
    cluster.Wish(GUID, TERMS, True),
    cluster.Unwish(GUID),
    cluster.WishHits(GUID, (HIT,)),
    cluster.Wished(GUID, "no"),
    cluster.Credit(16),
    cluster.Heir(CONTACT),
    cluster.ReHome(CONTACT),
    cluster.Leave(4),
    cluster.Unreached(CONTACT.node),
    cluster.Line((CONTACT,)),
    cluster.Push(CONTACT, CONTACT),
    hierarchy.Receipts((RECEIPT,), (NODE,)),
    hierarchy.Vitals(True, 500_000, None),
    hierarchy.Offer((CONTACT,)),
    hierarchy.OfferAnswer(False, "it may not"),
    hierarchy.Errand(GUID, CONTACT, 5),
    hierarchy.ErrandDone(GUID, True, (1000, 2000), True),
    overlay.Link(3, (CONTACT,), b"", 2, 1500),
    overlay.Linked(3, (CONTACT,)),
    overlay.Unlinked((CONTACT,), leaving=True),
    overlay.Neighbourhood(4, (CONTACT,)),
    overlay.Query(GUID, NODE[16:], 1, 2, b"\x91\x01", True, True),
    overlay.Extend(GUID, deeper=False, links=3),
    overlay.QueryHits(GUID, (HIT,)),
    overlay.QueryDone(GUID, False, 3, 2, 9, True, True, REACH, False, (HOP,), (HIT,)),
    overlay.Prune(GUID),
    overlay.Patches((overlay.Patch(NODE, 14, b"\x01", b"\x02", True, SIGNATURE),)),
    overlay.Hold(
        *(NODE, 1_700_000_000, 3, CONTACT, 6),
        (cluster.Put(7, ENTRY),),
        (1, 2),
        SIGNATURE,
        afresh=True,
    ),
    overlay.Held(NODE, 6, 4, "no"),
    overlay.Release(NODE),
    overlay.Ablest((overlay.Able(CONTACT, 12, 20),)),
    hierarchy.Examine(GUID, CONTACT, 5, 2),
    hierarchy.Examined(GUID, NODE, None, (1000, 2000), True),
    hierarchy.Carried(NODE, ROOT, 3, (Vouched(RECEIPT, b"\x0a\x00", SIGNATURE),)),
    hierarchy.Reserve(7),
    hierarchy.Reserved(7, True),
    hierarchy.Records((RECORD,)),
    hierarchy.Outdone(CONTACT, True),
    hierarchy.Yielded(NODE, True),
    swarm.Interested(ROOT, 123456),
    swarm.NotInterested(ROOT),
    swarm.Bitfield(ROOT, b"\xf0"),
    swarm.Have(ROOT, 5),
    swarm.Choke(ROOT),
    swarm.Unchoke(ROOT),
    swarm.Request(ROOT, 16384, 16384),
    swarm.Piece(ROOT, 16384),
    swarm.Cancel(ROOT, 16384),
    swarm.Reject(ROOT, "gone", 16384),
    swarm.TreeRequest(ROOT, 0, 8),
    swarm.TreeHashes(ROOT, 0, (ROOT,)),
    swarm.Peers(ROOT, (CONTACT,)),
    hierarchy.Home(NODE),
    hierarchy.Trial(1_000_000, GUID),
    hierarchy.TrialData(500_000),
    control.Call(1, "leaf.status", b"{}"),
    control.Told(1, b"{}"),
    control.Answered(1, b"{}"),
    control.Failed(1, 6, "no super-peer", "give one"),
    control.Hung(1),
    relay.Relay(NODE, True),
    relay.Relayed(NODE, "gone"),
    relay.Ferry(NODE, b"abc", True, 5),
    relay.Ferried(NODE, b"abc", True, 5),
)
