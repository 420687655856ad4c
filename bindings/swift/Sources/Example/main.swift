// Sends an event, enqueues another, and reads the streak that they made.
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.

import Foundation
import Trophy

do {
    var options = TrophyClient.Options()
    options.timeoutInSeconds = 10
    let client = try TrophyClient(options: options)

    let reply = try await client.event(
        "words-written", user: User(id: "18", name: "Ada"), value: 750, idempotencyKey: "chapter-1")
    print("total", reply.total, reply.achievements.map(\.name))

    let deliveries = client.deliveries()
    try client.enqueue("chapters-read", user: "18", idempotencyKey: "chapter-1")
    for await delivery in deliveries.prefix(1) {
        print("delivered", delivery.idempotencyKey, try delivery.result.get().total)
    }

    print("streak", try await client.streak("18").length)
    print("undelivered", try await client.close().undelivered)
} catch {
    FileHandle.standardError.write(Data("\(error.localizedDescription)\n".utf8))
    exit(1)
}
