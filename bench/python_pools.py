"""Calls of an empty function per second by the standard library's pools: python_pools.py CALLS."""

import concurrent.futures
import sys
import time


def nothing():
    pass


def measure(name, pool, calls):
    with pool:
        for future in [pool.submit(nothing) for _ in range(100)]:
            future.result()
        begin = time.perf_counter()
        for future in [pool.submit(nothing) for _ in range(calls)]:
            future.result()
        print(f"{name:32} {calls / (time.perf_counter() - begin):10.0f} calls/s")


if __name__ == "__main__":
    count = int(sys.argv[1])
    measure("ProcessPoolExecutor(2)", concurrent.futures.ProcessPoolExecutor(2), count)
    measure("ThreadPoolExecutor(2)", concurrent.futures.ThreadPoolExecutor(2), count)
