"""Where the parts of a fault run live, and how they are cut off from each other.

Loopback: every part on 127.0.0.1 with ports of its own. Nothing can be cut here but by the proxies.
Namespaces (root): every part has a network namespace and an address of its own on a bridge inside a namespace that only this process and its
children see. No port can meet another's, nothing is to be reached from outside, and all of it goes when the processes have ended. A cut is a rule of
nftables in the namespace of whoever shall not hear: packets are dropped without a word, as by a broken switch, and that in one direction.
"""
import ctypes
import fcntl
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
HUB = "10.77.0.1"
HOSTS = {"hub": 1, "broker": 10, "node": 20, "projector": 30, "query": 40, "postgres": 50, "redis": 51}


def split(name):
    """("broker", 2) of broker2; ("query", 0) of query."""
    kind = name.rstrip("0123456789")
    return kind, int(name[len(kind):] or 0)


PORTS = 200  # of a run on loopback
LOCKS = []
EPHEMERAL = 32768  # from here on the kernel gives ports to whoever connects


def free_base(base):
    """The first base from this one on whose ports nobody listens on now, and that no other run has chosen and not used yet."""
    while base + PORTS < EPHEMERAL:
        if is_chosen(base) and all(is_free(port) for port in range(base, base + PORTS)):
            return base
        base += PORTS
    raise RuntimeError("there are no 200 free ports in a row: BERTH_FAULTS_PORT_BASE says where to look")


def is_chosen(base):
    """By this process, for as long as it lives."""
    lock = open(pathlib.Path(tempfile.gettempdir()) / f"berth-faults-{os.geteuid()}-{base}.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    LOCKS.append(lock)
    return True


def is_free(port):
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Loopback:
    kind = "loopback"
    can_cut = False

    def __init__(self, base):
        self.base = base

    def host(self, name):
        return "127.0.0.1"

    def port(self, name, what):
        """What a part listens for has a place of its own in a range of 200 ports."""
        kind, index = split(name)
        places = {
            "broker": {"direct": 0, "client": 1, "proxy": 2, "internal": 3, "controller": 4, "control": 5},
            "node": {"http": 0, "admin": 1},
            "projector": {"admin": 0},
            "query": {"http": 0, "admin": 1},
            "postgres": {"sql": 0},
            "redis": {"redis": 0},
        }
        start = {"broker": 10 * index, "node": 100 + 2 * index, "projector": 130 + index, "query": 140, "postgres": 150, "redis": 151}
        return self.base + start[kind] + places[kind][what]

    def add(self, name):
        pass

    def inside(self, name, argv):
        return argv

    def cut(self, source, target):
        raise RuntimeError(f"{source} cannot be cut off from {target} on loopback: that needs root, or a proxy")

    def heal(self):
        pass

    def close(self):
        pass


class Namespaces(Loopback):
    kind = "namespaces"
    can_cut = True

    def __init__(self, base=20000):
        super().__init__(base)
        self.holders, self.deaf = {}, {}
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
            raise RuntimeError("a network namespace needs root: " + os.strerror(ctypes.get_errno()))
        run("mount", "--make-rprivate", "/")  # what is mounted for the run is seen by nobody else, and goes with it
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "berth", "type", "bridge")
        run("ip", "addr", "add", HUB + "/24", "dev", "berth")
        run("ip", "link", "set", "berth", "up")

    @staticmethod
    def is_possible():
        """Tried in a process of its own: root in a container may lack any of these rights."""
        if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("ip", "nft", "unshare", "nsenter")):
            return False
        script = ("mount --make-rprivate / && ip link set lo up && ip link add berth type bridge && ip link add one type veth peer name two && "
                  "echo 'table inet faults { chain input { type filter hook input priority 0; ip saddr 10.77.0.2 drop; }; }' | nft -f - && "
                  "mount -t tmpfs -o size=1m try /mnt && unshare --net true")  # fmt: skip
        return subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, timeout=30).returncode == 0

    def host(self, name):
        kind, index = split(name)
        return f"10.77.0.{HOSTS[kind] + index}"

    def add(self, name):
        """The namespace of a part is held by a process that sleeps in it, so that it outlives the part's own deaths."""
        if name in self.holders:
            return
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo here; exec sleep 86400"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        holder.stdout.readline()
        self.holders[name] = holder
        kind, index = split(name)
        pair = f"{kind[:8]}{index}"
        run("ip", "link", "add", pair, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        run("ip", "link", "set", pair, "master", "berth", "up")
        for command in (["addr", "add", self.host(name) + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            run(*self.inside(name, ["ip", *command]))

    def inside(self, name, argv):
        if name == "hub":
            return argv
        return ["nsenter", f"--net=/proc/{self.holders[name].pid}/ns/net", "--", *argv]

    def cut(self, source, target):
        """target no longer hears source."""
        self.deaf.setdefault(target, set()).add(source)
        self._rule(target)

    def uncut(self, source, target):
        self.deaf.get(target, set()).discard(source)
        self._rule(target)

    def heal(self):
        targets, self.deaf = list(self.deaf), {}
        for target in targets:
            self._rule(target)

    def _rule(self, target):
        drops = " ".join(f"ip saddr {self.host(source)} drop;" for source in sorted(self.deaf.get(target, ())))
        text = "table inet faults\ndelete table inet faults\n"
        if drops:
            text += f"table inet faults {{\n chain input {{\n type filter hook input priority 0;\n {drops.replace('; ', chr(10)).rstrip(';')}\n }}\n}}\n"
        run(*self.inside(target, ["nft", "-f", "-"]), stdin=text)

    def close(self):
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
        self.holders = {}


def run(*argv, stdin=""):
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
