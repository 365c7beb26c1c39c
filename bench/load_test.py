"""How exact the load test is and what it costs, beside other tools, in one run: `python bench/load_test.py`, about 6 minutes, gRPC (bench/grpc_load.py) included.

Loopback only. The server (tests/known_server.py) waits seeded times and writes down what it really did, so each tool's
quantiles are compared with those of the very requests that it sent: no sampling error is left. Goals are printed beside
what came out. They are for a quiet machine; where the bench may (root), client and server, those of the other tools too, are scheduled in real
time (SCHED_FIFO), so that what else runs takes no turn from them, and cores are kept from sleeping. `--quick true` leaves out most of the waiting.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from load_tools import Job, Ran, timed, tools
from realtime import awake, real_time, told

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fairway_steps.clock import SystemClock
from fairway_steps.loadtest.crew import Here, Task
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.loops import fastest, run_in_loop
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import AnyPlan, closed, constant, poisson
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.streaming import tokens
from known_server import known_server

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if (fast := fastest()) is not None:
    LOOPS["uvloop"] = fast


GOALS = {"asyncio": (45, 15_000), "uvloop": (20, 40_000)}
"""CPU microseconds of a request, and requests a second on one core."""
BARE = {"asyncio": 33, "uvloop": 11}
"""What a loop with nothing of ours in it took where these goals were set; on another machine their ratio is to be kept."""


def say(*parts: str) -> None:
    print(*parts, flush=True)


def goal(text: str, *, met: bool) -> str:
    return f"[goal {text}: {'met' if met else 'MISSED'}]"


def get(url: str) -> object:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def bare(what: str, url: str, rate: float, much: float, pin: Sequence[str] = ()) -> float:
    """What the least that could do the same takes (bench/bare.py)."""
    program = Path(__file__).with_name("bare.py")
    return float(timed([*pin, sys.executable, str(program), what, url, f"{rate:g}", f"{much:g}"])[0])


def send(
    url: str, plan: AnyPlan, *, connections: int = 64, loop: str = "", bodies: Sequence[bytes] = ()
) -> tuple[Result, int, int]:
    """The result, the start by the monotonic clock, and the CPU nanoseconds of the sending thread."""
    task = Task(
        Request(url, "POST" if bodies else "GET"), plan, Payloads(tuple(bodies) or (b"",)), Settings(30.0, connections)
    )

    async def main() -> tuple[Result, int, int]:
        crew = Here([task], SystemClock())
        run = crew._runs[0]  # noqa: SLF001 - the bench looks inside
        before = run.client.cpu_ns()
        shares = await crew.result()
        cpu = run.client.cpu_ns() - before
        return measured(shares[0]), run.zero, cpu

    return run_in_loop(main(), LOOPS[loop] if loop else None)


def quantile_errors(server: str, seconds: float, others: dict[str, Callable[[Job], Ran]]) -> None:
    """p50, p99 and p99.9 against the truth of the same requests, on three lognormals."""
    for median, sigma, rate, length in ((20, 0.2, 200, seconds), (800, 0.2, 100, seconds), (1200, 0.1, 100, seconds)):
        url = f"{server}/wait?median={median}&sigma={sigma}"
        say(
            f"\nlognormal, median {median} ms, sigma {sigma}, at {rate}/s for {length:g} s: error of quantiles against the truth"
        )
        connections = max(64, round(rate * median / 1000 * 2.5))
        get(f"{server}/log")
        result, _, _ = send(url, constant(rate, seconds=length), connections=connections)
        rows = {
            "fairway": (
                {q: float(np.percentile(result.response, q)) / 1e6 for q in (50, 90, 95, 99, 99.9)},
                result.meta.client_limited,
            )
        }
        truth = {"fairway": get(f"{server}/log")}
        for name, run in others.items():
            if name == "oha corrected":
                continue
            ran = run(Job(url, length, connections, float(rate)))
            truth[name] = get(f"{server}/log")
            rows[name] = (ran.ms, "")
        for name, (ms, limited) in rows.items():
            true = {q: float(np.percentile(truth[name], q)) / 1e6 for q in (50, 99, 99.9)}
            cells = [
                f"p{q:g} {ms[q] - true[q]:+9.3f} ms {ms[q] / true[q] - 1:+7.2%}"
                if q in ms
                else f"p{q:g}        not told    "
                for q in true
            ]
            verdict = ""
            if name == "fairway":
                met = all(abs(ms[q] - true[q]) <= max(0.01 * true[q], 0.3) for q in true)
                verdict = goal("1 % or 0.3 ms", met=met) + (f" client limited: {limited}" if limited else "")
            say(f"  {name:<8} " + "   ".join(cells), verdict)


def overhead_and_rates(server: str, seconds: float) -> None:
    say("\nrate and overhead of a request (server answers at once)")
    for rate in (10, 100, 1000, 5000):
        result, _, _ = send(f"{server}/now", constant(rate, seconds=seconds))
        achieved = result.achieved_rate or 0.0
        service, slip = result.service / 1e6, result.slip / 1e6
        text = (
            f"  {rate:>5}/s: achieved off by {abs(achieved / rate - 1):.3%}; slip p50 {np.median(slip):.3f} p99 {np.percentile(slip, 99):.3f} ms; "
            f"response p50 {np.median(result.response) / 1e6:.3f} p99 {np.percentile(result.response, 99) / 1e6:.3f} ms; "
            f"service p50 {np.median(service):.3f} ms"
        )
        verdict = [goal("0.1 %", met=abs(achieved / rate - 1) <= 0.001)]
        if rate == 1000:
            response = result.response / 1e6
            verdict.append(
                goal("p50 0.15 ms, p99 1 ms", met=np.median(response) <= 0.15 and np.percentile(response, 99) <= 1)
            )
        say(text, *verdict)
    result, _, _ = send(f"{server}/now", poisson(500, 7, seconds=seconds))
    gaps = np.sort(np.diff(result.sent_ns)) / 1e9
    distance = float(np.max(np.abs((np.arange(len(gaps)) + 0.5) / len(gaps) - (1 - np.exp(-500 * gaps)))))
    bound = 1.63 / len(gaps) ** 0.5
    say(
        f"  Poisson at 500/s, gaps as sent: Kolmogorov-Smirnov distance {distance:.4f}, bound {bound:.4f}",
        goal("alpha .01", met=distance < bound),
    )


def stall(server: str, others: dict[str, Callable[[Job], Ran]]) -> None:
    """20 s at 100/s, the server frozen for 2 s: 10 % of the users wait uniformly up to 2 s, so p95 is 1.0 s and p99 1.8 s."""
    say("\nfreeze of 2 s in 20 s at 100/s: what a user sees is p95 = 1000 ms, p99 = 1800 ms")
    rows: dict[str, dict[float, float]] = {}

    def frozen(run: Callable[[], dict[float, float]]) -> dict[float, float]:
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(run)
            asyncio.run(asyncio.sleep(9))
            get(f"{server}/freeze?ms=2000")
            return later.result()

    def ours() -> dict[float, float]:
        code = [sys.executable, __file__, "--send", f"{server}/now", "--rate", "100", "--seconds", "20"]
        return {float(q): ms for q, ms in json.loads(timed(code)[0])["response"].items()}

    rows["fairway"] = frozen(ours)
    for name, run in others.items():
        rate = None if name == "wrk" else 100.0
        rows[name] = frozen(lambda run=run, rate=rate: run(Job(f"{server}/now", 20, 4, rate)).ms)
    for name, ms in rows.items():
        cells = [
            f"p{q} {ms[q]:8.1f} ms ({ms[q] / true - 1:+.1%})" if q in ms else f"p{q} not told"
            for q, true in ((95, 1000), (99, 1800))
        ]
        verdict = (
            goal("2 %", met=all(abs(ms[q] / true - 1) <= 0.02 for q, true in ((95, 1000), (99, 1800))))
            if name == "fairway"
            else ""
        )
        say(f"  {name:<14}" + "   ".join(cells), verdict)


def costs(seconds: float, others: dict[str, Callable[[Job], Ran]]) -> None:
    """The client on one core, the server on another."""
    real_time(on=False)  # all the CPU of a machine for seconds is too much to take from others
    cores = sorted(os.sched_getaffinity(0))
    say(f"\ncost of a request, client on core {cores[0]}, server on core {cores[-1]}; as fast as 32 connections go")
    pin = ["taskset", "-c", str(cores[0])]
    rates: dict[str, Ran] = {}
    with known_server("taskset", "-c", str(cores[-1])) as server:
        for loop in LOOPS:
            code = [
                *pin,
                sys.executable,
                __file__,
                "--send",
                f"{server}/now",
                "--closed",
                "32",
                "--seconds",
                str(seconds),
                "--loop",
                loop,
            ]
            told = json.loads(timed(code)[0])
            rates[f"fairway {loop}"] = Ran(told["requests"], told["rate"], {}, told["cpu_s"])
        os.sched_setaffinity(0, {cores[0]})  # what we start runs where we do
        for name, run in others.items():
            if name != "oha corrected":
                rates[name] = run(Job(f"{server}/now", seconds, 32, None))
        os.sched_setaffinity(0, set(cores))
        best = min(ran.cpu_us for ran in rates.values())
        for name, ran in rates.items():
            verdict = ""
            if (loop := name.removeprefix("fairway ")) in GOALS:
                cpu, least = GOALS[loop]
                verdict = goal(f"{cpu} µs, {least:,}/s", met=ran.cpu_us <= cpu and ran.rate >= least)
            say(
                f"  {name:<16} {ran.cpu_us:6.1f} µs CPU a request ({ran.cpu_us / best:.1f} times the best), {ran.rate:9,.0f} requests/s",
                verdict,
            )
        least = bare("plan", f"{server}/now", 1000, seconds, pin)
        say(
            f"the same at 1000/s, by plan; a bare loop that waits, sends and receives, and no more, takes {least:.1f} µs"
        )
        for loop in LOOPS:
            code = [
                *pin,
                sys.executable,
                __file__,
                "--send",
                f"{server}/now",
                "--rate",
                "1000",
                "--seconds",
                str(seconds),
                "--loop",
                loop,
            ]
            told = json.loads(timed(code)[0])
            cpu = told["cpu_s"] * 1e6 / told["requests"]
            alone = bare(loop, f"{server}/now", 1000, seconds, pin)
            say(
                f"  fairway {loop:<8} {cpu:6.1f} µs CPU a request, {cpu - least:5.1f} beyond the bare loop; "
                f"{cpu / alone:.2f} times the {alone:.1f} that {loop} and nothing else takes",
                goal(f"{GOALS[loop][0]} µs", met=cpu <= GOALS[loop][0]),
                goal(f"{GOALS[loop][0] / BARE[loop]:.2f} times", met=cpu <= GOALS[loop][0] / BARE[loop] * alone),
            )
        os.sched_setaffinity(0, {cores[0]})
        for name, run in others.items():
            if name not in ("wrk", "oha corrected"):
                ran = run(Job(f"{server}/now", seconds, 32, 1000.0))
                say(f"  {name:<16} {ran.cpu_us:6.1f} µs CPU a request, {ran.cpu_us - least:5.1f} beyond the bare loop")
        os.sched_setaffinity(0, set(cores))


def streams(server: str) -> None:
    say("\nstreams (server-sent events): client's moments against the server's own")
    for loop in LOOPS:
        for count, itl, length in ((200, 20, 200), (50, 5, 400)):
            bodies = [json.dumps({"stream": True, "id": f"{loop}-{itl}-{i}"}).encode() for i in range(count)]
            url = f"{server}/v1/chat/completions?ttft=20&itl={itl}&tokens={length}"
            plan = constant(count * 5, requests=count)
            result, zero, cpu = send(url, plan, connections=count, bodies=bodies, loop=loop)
            written = get(f"{server}/written")
            truth = np.array([written[f"{loop}-{itl}-{i}"] for i in range(count)])
            seen = result.streams.event_ns.reshape(count, length) + zero
            ttft = np.percentile(seen[:, 0] - truth[:, 0], 99) / 1e6
            itls = np.percentile(np.abs(np.diff(seen) - np.diff(truth)), 99) / 1e6
            found = tokens(result)
            assert found is not None
            each = cpu / (count * (length + 3)) / 1e3
            least = bare("streams", url, count * 5, count)
            say(
                f"  {loop}, {count} at once, a token each {itl} ms: p99 error of TTFT {ttft:.3f} ms, of ITL {itls:.3f} ms; {each:.1f} µs CPU an event, {each - least:.1f} beyond a bare reader's {least:.1f}; "
                f"{found.output_total} tokens of {count * length}, {found.coalesced} coalesced",
                goal("0.5 ms", met=max(ttft, itls) <= 0.5),
                goal("15 µs", met=each <= 15),
                goal("all tokens", met=found.output_total == count * length),
            )


def memory() -> None:

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    plan = constant(10_000, requests=2_000_000)
    records = Records.empty(plan, 0.0)
    each = (resident() - before) / len(records.took)
    say(f"\nmemory while sending: {each:.1f} bytes a request", goal("20", met=each <= 20))


def sender(arguments: argparse.Namespace) -> None:
    """One run of ours as a process of its own, told as JSON."""
    plan: AnyPlan
    if arguments.closed:
        plan = closed(arguments.closed, seconds=arguments.seconds)
        result, _, cpu = send(arguments.send, plan, connections=arguments.closed, loop=arguments.loop)
    else:
        result, _, cpu = send(arguments.send, constant(arguments.rate, seconds=arguments.seconds), loop=arguments.loop)
    response = {str(q): float(np.percentile(result.response, q)) / 1e6 for q in (50, 90, 95, 99, 99.9)}
    span = int(result.end_ns.max() - result.scheduled_ns.min()) / 1e9
    say(json.dumps({"requests": len(result), "rate": len(result) / span, "cpu_s": cpu / 1e9, "response": response}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", default="false", choices=["true", "false"])
    parser.add_argument(
        "--only", default="", help="memory, quantiles, rates, streams, stall, costs, grpc; separated by commas"
    )
    for name, kind in (("send", str), ("rate", float), ("seconds", float), ("closed", int), ("loop", str)):
        parser.add_argument(f"--{name}", type=kind)
    arguments = parser.parse_args()
    if arguments.send:
        sender(arguments)
        return
    seconds = 2.0 if arguments.quick == "true" else 10.0
    others = {} if arguments.quick == "true" else tools()
    how = told(on=real_time(on=True))
    say(f"load average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; {how} (costs are not)")
    asleep = bare("wake", "-", 500, 6)
    with awake():
        say(
            f"a sleep on this machine ends late by up to {asleep:.2f} ms, but for one in a thousand; "
            f"{bare('wake', '-', 500, 6):.2f} ms with its cores kept awake, as they are from here on"
        )
    parts: dict[str, Callable[[str], None]] = {
        "memory": lambda _: memory(),
        "quantiles": lambda server: quantile_errors(server, seconds, others),
        "rates": lambda server: overhead_and_rates(server, seconds / 2),
        "streams": streams,
        "stall": lambda server: stall(server, others),
        "costs": lambda _: costs(seconds / 2, others),
    }
    chosen = [name for name in arguments.only.split(",") if name] or [
        name for name in (*parts, "grpc") if name != "stall" or others
    ]
    with awake(), known_server() as server:
        for name in chosen:
            if name != "grpc":
                parts[name](server)
    if "grpc" in chosen:
        say("\ngRPC")
        real_time(on=False)  # it is for its own processes to ask for
        subprocess.run([sys.executable, Path(__file__).with_name("grpc_load.py")], check=True)


if __name__ == "__main__":
    main()
