"""The official Python SDK, as its README uses it. The same lines on stdin and stdout as peer.c."""

import json
import sys
import time

from trophy import TrophyApi, UpsertedUser
from trophy.environment import TrophyApiEnvironment

base = sys.argv[1] + "/v1"
client = TrophyApi(
    api_key="app_bench.0123456789abcdef0123456789abcdef",
    environment=TrophyApiEnvironment(api=base, admin=base),
)
number = 0
for line in sys.stdin:
    count = int(line.split()[0])
    cpu, wall = time.process_time_ns(), time.monotonic_ns()
    for _ in range(count):
        client.metrics.event(
            key="words-written",
            user=UpsertedUser(id=str(1000000 + number)),
            value=750.0,
            attributes={"genre": "poem"},
        )
        number += 1
    took, used = time.monotonic_ns() - wall, time.process_time_ns() - cpu
    print(json.dumps({"wall_ns": took, "cpu_ns": used}), flush=True)
