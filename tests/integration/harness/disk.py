"""A small disk that can be filled up."""

import errno
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

CHUNK = 1 << 16


class SmallDisk:
    """A file system of `megabytes` in memory, which the user that runs Postgres may write to. Needs root."""

    def __init__(self, megabytes):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tgdisk", dir="/tmp"))
        self._filler = self.path / "filler"
        account = pwd.getpwnam("postgres")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755,uid={account.pw_uid}", "tmpfs",
                               self.path], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            self.path.rmdir()
            raise PermissionError(done.stderr.strip())

    def fill(self):
        """Takes all the space that is left."""
        with open(self._filler, "ab", buffering=0) as filler:
            for size in (CHUNK, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def make_room(self):
        self._filler.unlink()

    @property
    def free_bytes(self):
        return shutil.disk_usage(self.path).free

    def remove(self):
        subprocess.run(["umount", "--lazy", self.path], check=True)
        os.rmdir(self.path)
