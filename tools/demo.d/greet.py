#!/usr/bin/python3
"""Says where it runs, counts its files, and writes one: the same program as container and as microVM."""
import os
import sys


def count(*roots):
    files = links = setuid = caps = 0
    for folder, _, names in (step for root in roots for step in os.walk(root)):
        for name in names:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            files += 1
            links += st.st_nlink > 1
            setuid += bool(st.st_mode & 0o4000)
            if not os.path.islink(path):
                try:
                    caps += bool(os.getxattr(path, "security.capability"))
                except OSError:
                    pass
    return files, links, setuid, caps


def main():
    files, links, setuid, caps = count("/usr/bin", "/usr/local")
    with open("/var/lib/greet/visited", "a", encoding="utf-8") as f:
        f.write(os.uname().release + "\n")
    print(f"{os.environ['GREETING']}, {' '.join(sys.argv[1:])}: Linux {os.uname().release}, pid {os.getpid()}, "
          f"{files} files, {links} hard-linked, {setuid} setuid, {caps} with capabilities")


main()
