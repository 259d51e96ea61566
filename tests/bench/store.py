"""How fast clips are read from an object store on loopback: through a warm cache against a folder, and cold.

    .venv/bin/python tests/bench/store.py --shards demo/shards --availability demo/tasks/decremental/seed-0

Starts SeaweedFS (tests/requirements.txt), puts the shards there and runs incdec-bench-load on the folder, on the store with an
empty cache and on the store with a full one, the first and the last in turn. Prints one line of JSON: clips a second of each,
the ratio of warm to folder (at least 0.8 is promised), and megabytes a second: what a cold epoch takes longer, what a cold run
fetches from its start to its end, and the store read by itself. On loopback the store has no rate of its own: it and whoever reads
share the processors. `--mb-per-s` puts a network of that rate in between. Wants an idle machine; anything after `--` goes to
incdec-bench-load.
"""

import argparse
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 3
PATIENCE_S = 120
PIECE_BYTES = 1 << 18


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_store(folder):
    """The server without keys, and its address."""
    ports = free_ports(8)
    flags = []
    for n, program in enumerate(["master", "volume", "filer", "s3"]):
        flags += [f"-{program}.port={ports[2 * n]}", f"-{program}.port.grpc={ports[2 * n + 1]}"]
    log = open(folder / "log", "wb")
    data = folder / "data"
    data.mkdir()
    weed = pathlib.Path(sys.executable).with_name("weed")
    command = [weed, "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", f"-dir={data}", *flags]
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    return server, f"http://127.0.0.1:{ports[6]}"


class Network:
    """What passes bytes on to the store as they come, and its answers at a limited rate, of all connections together."""

    def __init__(self, endpoint, mb_per_s):
        self.store = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
        self.bytes_per_s = mb_per_s * 1e6
        self.free_at = 0.0
        self.passed_bytes = 0
        self.turn = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            reader, _ = self.listener.accept()
            store = socket.create_connection(self.store)
            for source, target, limited in [(reader, store, False), (store, reader, True)]:
                threading.Thread(target=self.pass_on, args=(source, target, limited), daemon=True).start()

    def pass_on(self, source, target, limited):
        try:
            while piece := source.recv(PIECE_BYTES):
                if limited:
                    with self.turn:
                        self.free_at = max(self.free_at, time.monotonic()) + len(piece) / self.bytes_per_s
                        free_at = self.free_at
                        self.passed_bytes += len(piece)
                    time.sleep(max(0.0, free_at - time.monotonic()))
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # Whoever hangs up has what he wanted.
            pass


def put(url, data):
    request = urllib.request.Request(url, data=data, method="PUT")
    urllib.request.urlopen(request).close()


def upload(endpoint, shards):
    begun = time.monotonic()
    while True:
        try:
            put(f"{endpoint}/bucket", b"")
            break
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() - begun > PATIENCE_S:
                raise
            time.sleep(0.2)
    files = sorted([*shards.glob("*.arrow"), shards / "index.parquet"])
    for path in files:
        put(f"{endpoint}/bucket/shards/{path.name}", path.read_bytes())
    return sum(path.stat().st_size for path in files), [path.name for path in files]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=pathlib.Path, required=True)
    parser.add_argument("--availability", type=pathlib.Path, required=True)
    parser.add_argument("--program", default=HERE / "target/release/incdec-bench-load")
    parser.add_argument("--mb-per-s", type=float, help="megabytes a second between the store and us")
    parser.add_argument("flags", nargs="*", help="for incdec-bench-load, after --")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    server, endpoint = start_store(folder)
    try:
        size, names = upload(endpoint, args.shards)
        network = Network(endpoint, args.mb_per_s) if args.mb_per_s else None
        if network:
            endpoint = network.endpoint

        def load(*where):
            command = [args.program, "--availability", args.availability, *where, *args.flags]
            begun = time.monotonic()
            figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            return figures["clips_per_s"], time.monotonic() - begun

        store = ["--shards", "s3://bucket/shards", "--endpoint", endpoint, "--cache", folder / "cache"]
        begun = time.monotonic()
        for name in names:
            with urllib.request.urlopen(f"{endpoint}/bucket/shards/{name}") as answer:
                while answer.read(1 << 20):
                    pass
        store_s = time.monotonic() - begun
        before = network.passed_bytes if network else 0
        _, cold_s = load(*store)
        fetched = network.passed_bytes - before if network else size
        pairs = [(load("--shards", args.shards), load(*store)) for _ in range(ROUNDS)]
        disk = max(rate for (rate, _), _ in pairs)
        warm, warm_s = max(pair for _, pair in pairs)
        figures = {
            "disk_clips_per_s": disk,
            "warm_clips_per_s": warm,
            "warm_to_disk": round(warm / disk, 3),
            # What the cold run took longer than one with everything in its cache.
            "cold_mb_per_s": round(size / 1e6 / max(cold_s - warm_s, 1e-3), 1),
            "store_mb_per_s": round(size / 1e6 / store_s, 1),
            # All of the cold run is in it: starting, loading what came last, ending.
            "cold_run_mb_per_s": round(fetched / 1e6 / cold_s, 1),
            "shards_mb": round(size / 1e6, 1),
        }
        print(json.dumps(figures))
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


main()
