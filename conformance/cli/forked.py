"""The aws command without its start: a process in which it is loaded forks for each command.

The start of Python and the loading of the command's modules take most of the time of a call, and these tests make hundreds. What
runs is the command itself, in a process of its own, with the caller's arguments, environment, directory and files.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import traceback

# Written as `aws`, first on the path. It needs no module beyond these, so it starts in a few milliseconds.
CALLER = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect({path!r})
    asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(to, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    to.sendall(asked)
    ended = to.recv(1)
sys.exit(ended[0] if ended else 255)
"""


def start(folder: pathlib.Path) -> subprocess.Popen:
    """Puts an `aws` into the folder, and starts the process that answers it."""
    path = str(folder / "socket")
    caller = folder / "aws"
    caller.write_text(CALLER.format(python=sys.executable, path=path))
    caller.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        words = [sys.executable, __file__, str(listener.fileno())]
        return subprocess.Popen(words, pass_fds=[listener.fileno()])


def _answer(listener):
    import awscli.clidriver

    # Loads the plugins, as every command does.
    awscli.clidriver.create_clidriver()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        to, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(to)
        to.close()


def _run(to):
    """Runs one command, and tells how it ended."""
    import awscli.clidriver

    code = 255
    try:
        begin, files, _, _ = socket.recv_fds(to, 8, 3)
        length, asked = int.from_bytes(begin, "big"), b""
        while len(asked) < length:
            asked += to.recv(length - len(asked))
        sys.argv, folder, environment = json.loads(asked)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        # The command's package sets this one when it is loaded.
        environment.setdefault("AWS_DATA_PATH", os.environ["AWS_DATA_PATH"])
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        code = awscli.clidriver.main() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        to.sendall(bytes([code & 255]))
        os._exit(0)


if __name__ == "__main__":
    _answer(socket.socket(fileno=int(sys.argv[1])))
