"""searches bench (draft)"""

import argparse, json, os, subprocess, sys, tempfile, time, threading
from multiprocessing import get_context
from pathlib import Path
from common.addresses import Address, split_host_port
from common.ids import parse_node
from tests.bench import corpora
from tests.bench.pressing import Order, process

LIFTED = """
[cluster]
near_searches_per_s = 1000000.0
near_searches_burst = 1000000
leaves_max = 1200
"""


def cpu(pid):
    t = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    main = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    hz = os.sysconf("SC_CLK_TCK")
    return (int(t[11]) + int(t[12])) / hz, (int(main[11]) + int(main[12])) / hz


def rss(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--files", type=int, default=1_000_000)
    p.add_argument("--leaves", type=int, default=100)
    p.add_argument("--corpus", default="paths")
    p.add_argument("--perf", default="")
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--profile", default="")
    p.add_argument("--only", default="")
    a = p.parse_args()
    spawn = get_context("spawn")
    N = 2
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(f"/tmp/w-load-{a.corpus}-{a.files}.0")
        if not cache.exists():
            made = getattr(corpora, a.corpus)(a.files, 1)
            for k in range(N):
                with open(f"/tmp/w-load-{a.corpus}-{a.files}.{k}", "w") as f:
                    f.writelines(f"{d}/{n}\n" for d, n in made[k::N])
        (Path(folder) / "c.toml").write_text(LIFTED)
        argv = [
            sys.executable,
            "-P",
            "-m",
            "superpeer",
            "run",
            "--listen",
            "127.0.0.1:0",
            "--home",
            folder + "/h",
            "--config",
            folder + "/c.toml",
        ]
        if a.profile:
            argv = [sys.executable, "-P", "-m", "cProfile", "-o", a.profile] + argv[2:]
        sp = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        ready = json.loads(sp.stdout.readline().removeprefix("READY "))
        host, port = split_host_port(ready["listen"])
        pipes = []
        for k in range(N):
            ours, theirs = spawn.Pipe()
            spawn.Process(
                target=process,
                args=(
                    theirs,
                    parse_node(ready["node"]),
                    Address.of(host, port),
                    a.leaves // N,
                    f"/tmp/w-load-{a.corpus}-{a.files}.{k}",
                    k,
                ),
                daemon=True,
            ).start()
            pipes.append(ours)

        def tell(*w):
            for q in pipes:
                q.send(w)
            return [q.recv() for q in pipes]

        t0 = time.time()
        c0 = cpu(sp.pid)
        tell("join", a.files // a.leaves)
        tell("publish", a.files // a.leaves)
        while True:
            s = json.loads(
                subprocess.run(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "superpeer",
                        "status",
                        "--home",
                        folder + "/h",
                        "--json",
                    ],
                    stdout=subprocess.PIPE,
                ).stdout
            )
            if s["files"] >= a.files:
                break
            time.sleep(1)
        print("published", time.time() - t0, cpu(sp.pid), rss(sp.pid), file=sys.stderr)
        for name, per, wanted, kind in (
            ("one-50", 1, 50, "words"),
            ("one-10", 1, 10, "words"),
            ("one-rare", 1, 50, "rare"),
            ("16-50", 16, 50, "words"),
            ("16-10", 16, 10, "words"),
            ("16-rare", 16, 50, "rare"),
        ):
            if a.only and name not in a.only.split(","):
                continue
            b = cpu(sp.pid)
            if a.perf:
                pf = subprocess.Popen(
                    [
                        "perf",
                        "record",
                        "-g",
                        "-o",
                        a.perf,
                        "-p",
                        str(sp.pid),
                        "--",
                        "sleep",
                        str(a.seconds),
                    ],
                    stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            rs = tell(
                "search",
                Order(a.leaves // N, a.seconds, per, wanted, 16 if per == 1 else 2, 0.0, kind),
            )
            e = cpu(sp.pid)
            ended = sum(len(r["took"]) for r in rs)
            took = sorted(t for r in rs for t in r["took"])
            hits = [h for r in rs for h in r["hits"]]
            print(
                json.dumps(
                    {
                        "name": name,
                        "per_cpu_s": round(ended / (e[0] - b[0])),
                        "per_main_s": round(ended / (e[1] - b[1])),
                        "per_s": round(ended / a.seconds),
                        "cpu": e[0] - b[0],
                        "main": round((e[1] - b[1]) / (e[0] - b[0]), 2),
                        "hits": sum(hits) / max(1, len(hits)),
                        "zero": sum(h == 0 for h in hits) / max(1, len(hits)),
                        "bytes": sum(r["bytes"] for r in rs) / max(1, ended),
                        "p50": took[len(took) // 2],
                        "p99": took[int(len(took) * 0.99)],
                        "un": sum(r["unanswered"] for r in rs),
                        "rss": rss(sp.pid),
                    }
                ),
                flush=True,
            )
        for q in pipes:
            q.send(None)
        sp.terminate()
        sp.wait()


main() if __name__ == "__main__" else None
