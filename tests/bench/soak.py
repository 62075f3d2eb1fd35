#!/usr/bin/env python3
"""Soak test: runs `distill` and `paraphrase` in turns for a given time and stops them at random.

    python3 tests/bench/soak.py --program target/release/impossible --minutes 60

Each `distill` is interrupted (SIGINT, SIGTERM or SIGKILL) at random moments until it completes; its dataset must have the
bytes of an undisturbed run. Meanwhile the resident memory of every process is sampled twice a second. Reported are the
number of stops, and the slope of memory over time in MB per minute with its 95 % interval, for the longest-lived process
of each command, whose first quarter (loading) is left out.
"""
import argparse, hashlib, math, os, random, shutil, signal, subprocess, sys, tempfile, time


def memory(pid):
    """Resident memory in MB, or None if the process has ended."""
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def watch(process, until, samples):
    """Samples memory until the process ends or the time is up; returns whether it has ended."""
    while process.poll() is None:
        if time.time() > until:
            return False
        used = memory(process.pid)
        if used:
            samples.append((time.time(), used))
        time.sleep(0.5)
    return True


def slope(samples):
    """Slope in MB per minute of a least-squares line, and the half width of its 95 % interval."""
    rest = samples[len(samples) // 4:]
    if len(rest) < 20:
        return None
    t = [(at - rest[0][0]) / 60 for at, _ in rest]
    y = [used for _, used in rest]
    n, tm, ym = len(t), sum(t) / len(t), sum(y) / len(y)
    stt = sum((a - tm) ** 2 for a in t)
    b = sum((a - tm) * (c - ym) for a, c in zip(t, y)) / stt
    error = math.sqrt(sum((c - ym - b * (a - tm)) ** 2 for a, c in zip(t, y)) / (n - 2) / stt)
    return b, 1.96 * error, ym, n


def digest(folder):
    total = hashlib.sha256()
    for root, dirs, files in sorted(os.walk(folder)):
        dirs.sort()
        for name in sorted(files):
            with open(os.path.join(root, name), "rb") as file:
                total.update(name.encode() + b"\0" + file.read())
    return total.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    program, random_ = os.path.abspath(args.program), random.Random(args.seed)
    work = tempfile.mkdtemp()
    end = time.time() + 60 * args.minutes
    distill = [program, "--quiet", "--device", "flex", "distill", "--contexts", "24", "--k", "48", "--until", "student"]
    subprocess.run(distill + ["--out", "whole"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    wanted = digest(os.path.join(work, "whole", "dataset"))
    student = os.path.join(work, "whole", "student", "stage0")
    sentence = "The company said it will pay a quarterly dividend of {} cts a share on March 31, up from {} cts.\n"
    with open(os.path.join(work, "texts.txt"), "w") as texts:
        texts.writelines(sentence.format(i % 97, i % 89) for i in range(200_000))
    rewrite = [program, "--quiet", "--device", "flex", "paraphrase", "--student", student, "--file", "texts.txt"]
    longest = {"distill": [], "paraphrase": []}
    stops = {signal.SIGINT: 0, signal.SIGTERM: 0, signal.SIGKILL: 0}
    runs = 0
    while time.time() < end:
        out = os.path.join(work, "run")
        shutil.rmtree(out, ignore_errors=True)
        while True:
            process = subprocess.Popen(distill + ["--out", "run"], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            samples = []
            if watch(process, time.time() + random_.uniform(1, 30), samples):
                if process.returncode != 0:
                    sys.exit(f"distill ended with {process.returncode}: {process.stderr.read().decode()}")
                break
            which = random_.choice(list(stops))
            process.send_signal(which)
            stops[which] += 1
            code = process.wait()
            if which != signal.SIGKILL and code not in (130, 0):
                sys.exit(f"distill ended with {code} after {which}: {process.stderr.read().decode()}")
            longest["distill"] = max(longest["distill"], samples, key=len)
        if digest(os.path.join(out, "dataset")) != wanted:
            sys.exit(f"another dataset after {stops}; the run is kept in {out}")
        verified = subprocess.run([program, "verify", "run"], cwd=work, capture_output=True)
        if verified.returncode != 0:
            sys.exit(verified.stdout.decode() + verified.stderr.decode())
        longest["distill"] = max(longest["distill"], samples, key=len)
        runs += 1
        process = subprocess.Popen(rewrite, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        samples = []
        watch(process, time.time() + 60 * min(5, args.minutes / 4), samples)
        process.kill()
        process.wait()
        longest["paraphrase"] = max(longest["paraphrase"], samples, key=len)
    print(f"{runs} runs completed to the same bytes after {sum(stops.values())} stops "
          f"({', '.join(f'{n} {s.name}' for s, n in stops.items())})")
    for name, samples in longest.items():
        found = slope(samples)
        if found is None:
            print(f"{name}: too few samples of one process")
        else:
            b, half, mean, n = found
            print(f"{name}: {mean:.0f} MB, slope {b:+.2f} MB a minute (95 % interval {b - half:+.2f} to {b + half:+.2f}, {n} samples)")
    shutil.rmtree(work)


main()
