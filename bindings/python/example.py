"""Sends an event, enqueues another, and reads the streak that they made.

Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.
"""

import sys

import libtrophy as trophy


def main() -> None:
    with trophy.Client(timeout_in_seconds=10) as client:
        client.on_delivery(lambda delivery: print(f"delivered {delivery.idempotency_key}\n", end=""))

        reply = client.event("words-written", {"id": "18", "name": "Ada"}, 750, idempotency_key="chapter-1")
        print("total", reply["total"], [achievement["name"] for achievement in reply["achievements"]])

        client.enqueue("chapters-read", "18", idempotency_key="chapter-1")
        print("undelivered", client.flush(timeout=10))

        print("streak", client.streak("18")["length"])


if __name__ == "__main__":
    try:
        main()
    except trophy.TrophyError as error:
        sys.exit(f"{error} (HTTP {error.http_status})" if error.http_status else str(error))
