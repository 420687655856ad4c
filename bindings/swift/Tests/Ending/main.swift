// Ends in the way that its argument names, with calls under way; prints "ending" when it begins to.

import Foundation
import Trophy

@Sendable func sayEnding() {
    FileHandle.standardOutput.write(Data("ending\n".utf8))
}

let way = CommandLine.arguments[1]
let client = try TrophyClient(), idle = try TrophyClient()
let deliveries = idle.deliveries()

switch way {
case "exit in a callback", "slow":
    // Log lines come on the library's threads.
    TrophyClient.log(.debug) { _, line in
        guard line.contains("POST") else { return }
        if way == "slow" {
            Thread.sleep(forTimeInterval: 0.3)
        } else {
            sayEnding()
            exit(9)
        }
    }
    for user in 0..<20 { try client.enqueue("words-written", user: User(id: String(user))) }
    while try way != "slow" || client.stats().requests == 0 { try await Task.sleep(for: .milliseconds(1)) }
    sayEnding()
    exit(0)
case "wait":
    sayEnding()
    _ = try? await client.event("words-written", user: "18")
    exit(1)
default:
    for user in 0..<100 {
        Task.detached { try await client.event("words-written", user: User(id: String(user))) }
    }
    while try client.stats().requests == 0 { try await Task.sleep(for: .milliseconds(1)) }
    sayEnding()
    switch way {
    case "exit": exit(7)
    case "exit in a task":
        Task.detached { exit(6) }
        try await Task.sleep(for: .seconds(60))
    case "throw": throw TrophyErrorOfMine()
    default: break
    }
}

struct TrophyErrorOfMine: Error {}
