"""A disk that can be filled and emptied: a tmpfs of some megabytes where mounting is allowed, else a limit on the size of the process's files."""
import contextlib
import pathlib
import resource
import subprocess
import tempfile


class Disk:
    is_alone = True  # only what lies in the folder suffers, not the process's other files

    def __init__(self, folder):
        self.folder, self.filler = pathlib.Path(folder), pathlib.Path(folder) / "filler"

    def fill(self, server):
        """Not a byte is left."""
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 16, 1 << 10, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def empty(self, server):
        self.filler.unlink()


class Limit(Disk):
    """RLIMIT_FSIZE: no file of the process may grow any more. EFBIG instead of ENOSPC, and otherwise the same."""

    is_alone = False

    def fill(self, server):
        self.before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, self.before[1]))

    def empty(self, server):
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, self.before)


@contextlib.contextmanager
def small_disk(megabytes):
    with tempfile.TemporaryDirectory(prefix="berth-disk-") as folder:
        for sudo in ([], ["sudo", "-n"]):
            with contextlib.suppress(FileNotFoundError):
                if subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", folder], capture_output=True).returncode == 0:
                    try:
                        yield Disk(folder)
                    finally:
                        subprocess.run([*sudo, "umount", "-l", folder], check=True)
                    return
        yield Limit(folder)
