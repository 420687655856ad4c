// The wrapper against the sandbox. One test at a time, since each has the sandbox for itself.

import Foundation
import Testing

@testable import Trophy

@Suite(.serialized)
struct TrophyTests {
    let sandbox = Sandbox.shared
    let client: TrophyClient

    init() async throws {
        try await sandbox.ask("/reset", [:])
        client = try sandbox.client()
    }

    // MARK: Events

    // shows: counts-once
    @Test func an_event_sent_twice_with_one_key_counts_once() async throws {
        let first = try await client.event("words-written", user: "18", value: 750, idempotencyKey: "chapter-1")
        let again = try await client.event("words-written", user: "18", value: 750, idempotencyKey: "chapter-1")
        #expect(first.total == 750 && !first.idempotentReplayed)
        #expect(again.total == 750 && again.idempotentReplayed)
        #expect(try await sandbox.events() == 1)
    }

    @Test func a_reply_tells_what_the_event_changed() async throws {
        let reply = try await client.event(
            "words-written", user: User(id: "18"), value: 750, attributes: ["genre": "poem"])
        #expect(reply.achievements.map(\.name).contains("500 words"))
        #expect(reply.currentStreak?.length == 1 && reply.currentStreak?.extended == true)
        #expect(reply.points["xp"]?.added == 70 && reply.points["xp"]?.level?.key == "silver")
        #expect(reply.leaderboards["all-time-words"]?.rank == 1)
        let streak = try await client.streak("18", historyPeriods: 3)
        #expect(streak.length == 1 && streak.frequency == "daily" && streak.extendedAt != nil)
        #expect(streak.history.last?.length == 1)
        #expect(try await client.achievements("18").map(\.name).contains("500 words"))
        #expect(try await client.points("18", "xp").total == 70)
    }

    @Test func a_reply_with_fields_missing_or_odd_is_still_a_success() async throws {
        let odd = #"{"total": "many", "achievements": [{}], "currentStreak": {"length": null}, "more": [1]}"#
        for body in [odd, "null", "{}"] {
            try await sandbox.ask("/faults", ["fault": "not_json", "body": .string(body), "count": 1])
            let reply = try await client.event("words-written", user: "18")
            #expect(reply.total == 0 && reply.achievements.count == (body == odd ? 1 : 0))
            #expect(reply.currentStreak?.length ?? 0 == 0 && !reply.idempotentReplayed)
        }
        try await sandbox.ask("/faults", ["fault": "not_json", "count": 1])
        try await failure(.invalidResponse) { try await client.event("words-written", user: "18") }
        #expect(try await sandbox.events() == 4)
    }

    // shows: scripts
    @Test func text_in_any_script_arrives_as_it_was() async throws {
        let user = User(id: "Ωμέγα/🏆 \"q\"", name: "Zoë 李\u{0}\n", attributes: ["city": "São Paulo"])
        try await client.event("words-written", user: user, value: 1.5, attributes: ["genre": "поэма"])
        let changed = try await client.identify(User(id: user.id, tz: "Asia/Tokyo"))
        #expect(changed.tz == "Asia/Tokyo")
        let read = try await client.user(user.id)
        #expect((read.id, read.name) == (user.id, user.name))
        #expect(read.attributes == user.attributes)
    }

    @Test func a_hundred_events_at_once_each_count() async throws {
        let totals = try await withThrowingTaskGroup(of: Double.self) { group in
            for number in 1...100 {
                group.addTask {
                    try await client.event("words-written", user: "user-\(number)", value: Double(number)).total
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(totals == Set((1...100).map(Double.init)))
        #expect(try await sandbox.events() == 100)
    }

    @Test @MainActor func any_operation_is_called_from_any_actor() async throws {
        final class Metric: Decodable {
            let key: String
        }
        final class Page: Encodable {
            let limit = 1
        }
        let metrics: [Metric] = try await client.call("admin_metrics_list", Page())
        #expect(metrics.count == 1 && !metrics[0].key.isEmpty)
        let user: JSON = try await client.call(
            "users_create", ["body": ["id": "new", "name": "Ada", "deviceTokens": ["a"], "subscribeToEmails": false]])
        #expect(user["name"] == "Ada" && user["deviceTokens"]?[0] == "a" && user["deviceTokens"]?[1] == nil)
        let all: JSON = try await client.call("achievements_all")
        #expect(all.array?.isEmpty == false)
    }

    @Test func options_have_their_names_and_what_is_in_them_keeps_its_own() throws {
        var options = TrophyClient.Options()
        options.tlsRoots = .system
        options.allowInsecureHTTP = true
        options.additionalHeaders = ["X-MyHeader": "a"]
        options.queue.requestsPerSecond = 3
        let written = try decode(JSON.self, Data(try encode(options: options).utf8))
        #expect(
            written == [
                "tls_roots": "system", "allow_insecure_http": true, "additional_headers": ["X-MyHeader": "a"],
                "queue": ["requests_per_second": 3],
            ])
        var once = TrophyClient.RequestOptions()
        once.additionalBodyParameters = ["someMember": ["itsMember": [["more": 1]]]]
        let body = try decode(JSON.self, Data(try encode(options: once).utf8))["additional_body_parameters"]
        #expect(body == ["someMember": ["itsMember": [["more": 1]]]])
    }

    // MARK: Errors

    // shows: errors
    @Test func an_error_tells_its_code_and_what_the_service_sent() async throws {
        let error = try await failure(.notFound) { try await client.streak("nobody") }
        #expect(error.httpStatus == 404 && error.attempts == 1 && error.retryAfter == nil)
        #expect(error.body == ["error": "User not found: nobody"])
        #expect(error.localizedDescription.contains("nobody"))
    }

    @Test func a_rate_limit_tells_when_to_come_back() async throws {
        try await sandbox.ask("/faults", ["fault": "rate_limited", "retryAfter": "7"])
        var once = TrophyClient.RequestOptions()
        once.maxRetries = 0
        let error = try await failure(.rateLimited) {
            try await client.event("words-written", user: "18", options: once)
        }
        #expect(error.retryAfter == .seconds(7))
    }

    // shows: text, deep-values
    @Test func an_invalid_argument_is_named_and_nothing_is_sent() async throws {
        let wrong: [(String, () async throws -> Void)] = [
            ("value", { _ = try await client.event("words-written", user: "18", value: .nan) }),
            ("key", { _ = try await client.event("words\0written", user: "18") }),
            ("key", { try client.enqueue("words\0written", user: "18") }),
            ("user", { _ = try await client.event("words-written", user: "") }),
            ("arguments", { let _: JSON = try await client.call("users_streak", ["id": Double.infinity]) }),
            ("idempotencyKey", { try client.enqueue("words-written", user: "18", idempotencyKey: "a\0") }),
            ("id", { _ = try client.forTenant("a\0") }),
            ("operation", { let _: JSON = try await client.call("a\0") }),
            ("historyPeriod", { let _: JSON = try await client.call("users_streak", ["id": "18", "historyPeriod": 1]) }),
            ("no_such_operation", { let _: JSON = try await client.call("no_such_operation") }),
            ("max_retries", { _ = try sandbox.client { $0.maxRetries = -1 } }),
            ("apiKey", { _ = try TrophyClient(apiKey: "a\0b") }),
        ]
        for (name, call) in wrong {
            let error = try await failure(.invalidArgument, call)
            #expect(error.message.contains(name))
        }
        #expect(try await sandbox.ask("/ledger")["requests"] == [:])
    }

    @Test func a_code_of_a_newer_library_is_unknown() {
        let error = TrophyError(json: Data(#"{"error":{"code":"brand_new","message":"m"}}"#.utf8))
        #expect(error.code == .unknown && error.message == "m")
    }

    @Test func options_arrive_under_their_names() async throws {
        let client = try sandbox.client {
            $0.additionalHeaders = ["X-Trophy-Test": "clientHeader"]
            $0.tenantID = "acme"
        }
        var options = TrophyClient.RequestOptions()
        options.additionalQueryParameters = ["someName": "a b"]
        options.additionalBodyParameters = ["someField": ["innerName": 1]]
        try await client.event("words-written", user: "18", options: options)
        let request = try #require(try await sandbox.ask("/requests?last=1")[0])
        let headers = try #require(request["headers"]?.array)
        #expect(headers.contains(["x-trophy-test", "clientHeader"]) && headers.contains(["tenant-id", "acme"]))
        #expect(request["query"]?.string?.hasPrefix("someName=a") == true)
        let body = try #require(request["body"])
        let sent = try body.string.map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) } ?? body
        #expect(sent["someField"] == ["innerName": 1])
    }

    // MARK: Cancellation and ending

    // shows: cancel
    @Test func a_cancelled_task_ends_its_call() async throws {
        try await sandbox.hang()
        let task = Task { try await client.event("words-written", user: "18") }
        try await wait { try await sandbox.requests("metrics_event") == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // In the library too: the lane is free again, long before the call's own 60 seconds.
        try await sandbox.ask("/reset", [:])
        #expect(try await client.event("words-written", user: "18").total == 1)
        #expect(try client.stats().callsUnderWay == 0)
    }

    @Test func a_task_cancelled_at_any_moment_ends() async throws {
        try await sandbox.hang("users_streak")
        for number in 0..<200 {
            let task = Task { try await client.streak("18") }
            if number.isMultiple(of: 2) { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        try await wait { try client.stats().callsUnderWay + client.stats().callsWaiting == 0 }
    }

    @Test func a_cancelled_flush_waits_no_longer() async throws {
        try await sandbox.hang()
        try client.enqueue("words-written", user: "18")
        let task = Task { try await client.flush() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // Nor does one whose client is closed, or was.
        let forever = Task { try await client.flush() }
        #expect(try await client.close(timeout: .zero).undelivered == 1)
        switch await forever.result {
        // Closed before it began, or meanwhile.
        case .failure(let error as TrophyError): #expect([.closed, .cancelled].contains(error.code))
        case let result: Issue.record("\(result)")
        }
    }

    // shows: interrupt
    @Test func a_cancelled_close_waits_no_longer() async throws {
        try await sandbox.hang()
        try client.enqueue("words-written", user: "18")
        let client = client
        let task = Task { try await client.close(timeout: .seconds(3600)) }
        task.cancel()
        #expect(try await task.value == .init(undelivered: 1, cancelled: 0))
    }

    // shows: closed
    @Test func a_closed_client_ends_calls_and_says_so() async throws {
        try await sandbox.hang()
        let task = Task { try await client.event("words-written", user: "18") }
        try await wait { try await sandbox.requests("metrics_event") == 1 }
        #expect(try await client.close(timeout: .zero) == .init(undelivered: 0, cancelled: 1))
        try await failure(.cancelled) { try await task.value }
        try await failure(.closed) { try await client.streak("18") }
        try await failure(.closed) { try client.enqueue("words-written", user: "18") }
        #expect(try await client.close() == .init())
        for await _ in client.deliveries() {}
    }

    // shows: freed
    @Test func a_forgotten_client_is_freed() async throws {
        try await wait { libraryThreads() == 0 }
        do {
            let forgotten = try sandbox.client()
            try await forgotten.event("words-written", user: "18")
            try await failure(.invalidArgument) { try await forgotten.event("words-written", user: "") }
            let cancelled = Task { try await forgotten.streak("18") }
            cancelled.cancel()
            _ = await cancelled.result
            try forgotten.forTenant("acme").enqueue("words-written", user: "18")
            #expect(libraryThreads() > 0)
        }
        try await wait { libraryThreads() == 0 }
    }

    @Test func deliveries_keep_no_client_and_end_with_it() async throws {
        try await wait { libraryThreads() == 0 }
        let deliveries = try sandbox.client().deliveries()
        for await _ in deliveries {}
        let kept = try sandbox.client()
        let hearing = Task { for await _ in kept.deliveries() { _ = try kept.stats() } }
        try await kept.close()
        try await hearing.value
    }

    @Test func a_client_is_freed_also_by_its_own_callback() async throws {
        try await wait { libraryThreads() == 0 }
        let complaints = Locked<[String]>([])
        for number in 0..<50 {
            let last = Locked<TrophyClient?>(try sandbox.client())
            let wasDropped = Locked(false)
            // On a thread of the library, while its call is under way.
            TrophyClient.log(.debug) { level, line in
                if level == .error { complaints.withLock { $0.append(line) } }
                if line.contains("POST") {
                    last.value = nil
                    wasDropped.value = true
                }
            }
            try last.value?.enqueue("words-written", user: "user-\(number)")
            try await wait { wasDropped.value && libraryThreads() == 0 }
        }
        TrophyClient.log(.error, to: nil)
        #expect(complaints.value == [])
    }

    // MARK: The queue

    // shows: queue
    @Test func the_queue_delivers_and_says_how_each_event_ended() async throws {
        try await withFolder { folder in
            let client = try sandbox.client { $0.queue.path = folder }
            let (one, other) = (client.deliveries(), client.deliveries())
            #expect(try client.enqueue("words-written", user: "18", value: 10, idempotencyKey: "good") == "good")
            let made = try client.enqueue("words-written", user: "18", attributes: ["unknown": "x"])
            #expect(try await client.flush(timeout: .seconds(20)) == 0)
            #expect(try client.stats().delivered == 1 && client.stats().dead == 1 && !client.stats().paused)
            #expect(try await client.close() == .init())
            for stream in [one, other] {
                // Both end, since the client was closed.
                let ends = await stream.reduce(into: [:]) { $0[$1.idempotencyKey] = $1 }
                #expect(ends.count == 2)
                #expect(try ends["good"]?.result.get().total == 10)
                #expect(ends["good"]?.userId == "18" && ends["good"]?.key == "words-written")
                #expect(throws: TrophyError.self) { try ends[made]?.result.get() }
            }
        }
    }

    // shows: offline
    @Test func an_event_outlives_its_client_offline() async throws {
        try await withFolder { folder in
            try await sandbox.hang()
            let first = try sandbox.client { $0.queue.path = folder }
            try first.enqueue("words-written", user: "18", value: 5)
            #expect(try await first.flush(timeout: .zero) == 1)
            #expect(try await first.close(timeout: .zero) == .init(undelivered: 1, cancelled: 0))
            try await sandbox.ask("/reset", [:])
            let second = try sandbox.client { $0.queue.path = folder }
            #expect(try await second.flush(timeout: .seconds(20)) == 0)
            #expect(try await sandbox.events() == 1)
            try await second.close()
        }
    }

    @Test func a_batch_is_delivered_without_what_it_changed() async throws {
        let client = try sandbox.client { $0.queue.delivery = .batch }
        let deliveries = client.deliveries()
        try client.enqueue("words-written", user: "18")
        try await client.close(timeout: .seconds(20))
        for await delivery in deliveries {
            #expect(try delivery.result.get().total == 0)
        }
        #expect(try await sandbox.requests("admin_metrics_batch_events") == 1)
    }

    // MARK: The rest

    @Test func a_tenant_has_users_of_its_own() async throws {
        let tenant = try client.forTenant("acme")
        try await tenant.event("words-written", user: "lodger", value: 3)
        try await failure(.notFound) { try await client.streak("lodger") }
        #expect(try await tenant.streak("lodger").length == 1)
    }

    // shows: tenant-close
    @Test func a_tenants_close_lets_go_of_its_handle_only() async throws {
        let acme = try client.forTenant("acme"), other = try client.forTenant("other")
        #expect(try await acme.close() == .init())
        try await failure(.closed) { try await acme.streak("18") }
        #expect(try await client.event("words-written", user: "18").total == 1)
        #expect(try await other.event("words-written", user: "18").total == 1)
        try await client.close()
        try await failure(.closed) { try await other.streak("18") }
    }

    // shows: two-numbers
    @Test func close_tells_events_from_calls() async throws {
        try await sandbox.hang()
        let client = client
        let calls = (0..<100).map { user in
            Task { try await client.event("words-written", user: User(id: "user-\(user)")) }
        }
        try await wait { try client.stats().callsUnderWay + client.stats().callsWaiting == 100 }
        #expect(try await client.close(timeout: .zero) == .init(undelivered: 0, cancelled: 100))
        for call in calls { try await failure(.cancelled) { try await call.value } }
    }

    // shows: any-reply
    @Test func no_reply_throws_anything_but_our_own_error() async throws {
        let file = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../replies.json").standardized
        let replies = try JSONDecoder().decode([JSON].self, from: Data(contentsOf: file))
        let client = try sandbox.client { $0.maxRetries = 0 }
        for reply in replies {
            for isTyped in [true, false] {
                let more: [String: JSON] = ["operation": "users_streak", "count": 1]
                try await sandbox.ask("/faults", .object(reply.object!.merging(more) { $1 }))
                do {
                    if isTyped {
                        _ = try await client.streak("18")
                    } else {
                        let _: JSON = try await client.call("users_streak", ["id": "18"])
                    }
                } catch let error as TrophyError {
                    #expect(error.code != .unknown, "\(reply)")
                }
            }
        }
    }

    // MARK: The end of a process

    private func start(_ program: String, _ arguments: String...) throws -> (Process, output: FileHandle) {
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent(program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging([
            "TROPHY_API_KEY": key, "TROPHY_BASE_URL": sandbox.url, "TROPHY_ADMIN_BASE_URL": sandbox.adminURL,
            // Swift takes a minute to describe where a debug build crashed.
            "SWIFT_BACKTRACE": "enable=no",
        ]) { $1 }
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        return (process, output.fileHandleForReading)
    }

    // What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
    private static let slowness = 10

    // shows: ends, exits, uncaught, slow-end
    @Test(arguments: [
        ("return", 0), ("exit", 7), ("exit in a task", 6), ("throw", nil), ("exit in a callback", 9), ("slow", 0),
    ] as [(String, Int32?)])
    func a_process_ends_at_once_with_its_own_code(_ way: String, _ code: Int32?) async throws {
        if way != "exit in a callback" && way != "slow" { try await sandbox.hang() }
        let (process, output) = try start("Ending", way)
        #expect(String(decoding: output.availableData, as: UTF8.self) == "ending\n")
        let since = ContinuousClock.now
        process.waitUntilExit()
        #expect(since.duration(to: .now) < .seconds(Self.slowness))
        if let code {
            #expect(process.terminationReason == .exit && process.terminationStatus == code)
        } else {
            #expect(process.terminationStatus != 0)
        }
    }

    @Test func ctrl_c_ends_a_program_that_waits() async throws {
        try await sandbox.hang()
        let (process, _) = try start("Ending", "wait")
        try await wait { try await sandbox.requests("metrics_event") == 1 }
        process.interrupt()
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
    }

    @Test func a_rotated_key_is_taken() async throws {
        try await sandbox.ask("/keys", ["adminKeys": ["new.key"]])
        try await failure(.unauthorized) { try await client.event("words-written", user: "18") }
        try client.setAPIKey("new.key")
        #expect(try await client.event("words-written", user: "18").total == 1)
    }

    // shows: webhook
    @Test func a_webhook_is_believed_only_with_its_signature() async throws {
        struct Payload: Decodable {
            let name: String
        }
        let body = Data(#"{"type":"achievement.completed","name":"Zoë"}"#.utf8)
        let signature = "yTkvO+Pl7RGy5hjM2cWXk/OUWI3xLlq9+/B79j9MI1I="
        let payload = try TrophyClient.verifyWebhook(body, signature: signature, secret: "secret", as: Payload.self)
        #expect(payload.name == "Zoë")
        #expect(try TrophyClient.verifyWebhook(body, signature: signature, secret: "secret")["name"] == "Zoë")
        try await failure(.invalidSignature) {
            try TrophyClient.verifyWebhook(body + Data(" ".utf8), signature: signature, secret: "secret")
        }
        try await failure(.invalidSignature) {
            try TrophyClient.verifyWebhook(Data(), signature: signature, secret: "secret")
        }
    }

    // shows: log
    @Test func log_lines_are_heard_without_the_secret() async throws {
        let lines = Locked<[String]>([])
        TrophyClient.log(.debug) { _, line in lines.withLock { $0.append(line) } }
        try await client.event("words-written", user: "18")
        TrophyClient.log(.debug, to: nil)
        try await client.event("words-written", user: "18")
        #expect(lines.value.filter { $0.contains("POST") }.count == 1)
        #expect(!lines.value.joined().contains("open-sesame"))
        #expect(TrophyClient.version.hasPrefix("1."))
    }

    @Test func a_wait_is_never_shorter_than_asked() {
        #expect(milliseconds(.milliseconds(1500)) == 1500)
        #expect(milliseconds(.nanoseconds(1)) == 1)
        #expect(milliseconds(.zero) == 0 && milliseconds(.seconds(-1)) == 0)
        #expect(milliseconds(.seconds(Int64.max)) == .max)
    }

    // shows: memory
    @Test func thousands_of_calls_leave_memory_flat() async throws {
        // What was sent is freed with its client (see above): this is about the library's own strings and handles.
        func some(_ count: Int) async throws {
            for number in 0..<count {
                try await failure(.invalidArgument) {
                    try await client.call("users_streak", ["id": "18", "nonsense": 1]) as JSON
                }
                _ = try client.forTenant("acme").stats()
                if number.isMultiple(of: 50) { try await client.event("words-written", user: "18") }
            }
        }
        try await some(1000)
        guard let before = residentBytes() else { return }
        try await some(5000)
        let grown = residentBytes()! - before
        #expect(grown < 3 << 20, "grew by \(grown) bytes")
    }

    // shows: example
    @Test func the_example_runs() async throws {
        let (process, output) = try start("Example")
        let text = String(decoding: output.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(text.contains("total 750") && text.contains("streak 1") && text.contains("undelivered 0"), "\(text)")
    }
}
