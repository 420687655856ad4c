import CTrophy
import Foundation

/// A client of Trophy: its connections, its threads, its queue. One for a process is enough; any task may use it.
///
/// What fails throws a `TrophyError`, or `CancellationError` if the task was cancelled, which ends the call.
public final class TrophyClient: Sendable {
    private let open: Locked<Handle?>
    private let listeners: Listeners
    private let isTenant: Bool

    /// What was left when a client was closed.
    public struct Ending: Hashable, Sendable {
        /// Events still in the queue: in its folder, if it has one, else lost.
        public var undelivered = 0
        /// Calls that had to be cancelled.
        public var cancelled = 0
    }

    /// - Parameter apiKey: nil: the variable TROPHY_API_KEY.
    public init(apiKey: String? = nil, options: Options = Options()) throws {
        let apiKey = try apiKey.map { try text("apiKey", $0) }
        let handle = try Handle(apiKey: apiKey, options: encode(options: options))
        (open, listeners, isTenant) = (Locked(handle), handle.listeners, false)
    }

    private init(tenant handle: Handle) {
        (open, listeners, isTenant) = (Locked(handle), handle.listeners, true)
    }

    private var handle: Handle {
        get throws {
            guard let handle = open.value else {
                throw TrophyError(code: .closed, message: "this client is closed; make another")
            }
            return handle
        }
    }

    /// The same client (connections, threads, queue), whose calls are for a tenant. Its `close` lets go of it only.
    public func forTenant(_ id: String) throws -> TrophyClient {
        TrophyClient(tenant: try handle.forTenant(text("id", id)))
    }

    // MARK: The main job: an event

    /// Adds `value` to the user's metric, and tells what that changed. It counts once, however often it is tried.
    ///
    /// - Parameter idempotencyKey: What makes this event the same as another of this user and metric, such as
    ///   your row's id. nil: one is made.
    @discardableResult
    public func event(
        _ key: String, user: User, value: Double = 1, attributes: [String: String]? = nil,
        idempotencyKey: String? = nil, options: RequestOptions? = nil
    ) async throws -> EventReply {
        let event = try Event(key, user, value, attributes, idempotencyKey, options)
        let json = try await handle.reply { client, callback, userData, out in
            trophy_metrics_event_async(
                client, event.key, event.user, event.value, event.attributes, event.idempotencyKey, event.options,
                callback, userData, out)
        }
        return try decode(EventReply.self, json)
    }

    /// Puts an event into the queue, which delivers it, now or after days offline. Returns its idempotency key,
    /// after microseconds, when the event is safe on disk.
    @discardableResult
    public func enqueue(
        _ key: String, user: User, value: Double = 1, attributes: [String: String]? = nil,
        idempotencyKey: String? = nil, options: RequestOptions? = nil
    ) throws -> String {
        let event = try Event(key, user, value, attributes, idempotencyKey, options)
        let json = try handle.ask { client, out in
            trophy_metrics_event_enqueue(
                client, event.key, event.user, event.value, event.attributes, event.idempotencyKey, event.options, out)
        }
        return try decode([String: String].self, json)["idempotencyKey"] ?? ""
    }

    /// How queued events end, from now on, until the client is closed. Each stream hears of all of them.
    ///
    /// A task that waits for them and uses the client keeps it: close it, since its last reference will not go.
    public func deliveries() -> AsyncStream<Delivery> {
        listeners.stream()
    }

    /// Waits until the queue is empty, at most `timeout`; nil waits for ever. Returns how many events are
    /// undelivered. Throws `.cancelled` if the client was closed meanwhile.
    @discardableResult
    public func flush(timeout: Duration? = nil) async throws -> Int {
        let end = timeout.map { ContinuousClock.now + $0 }
        let handle = try handle
        while true {
            try Task.checkCancellation()
            // Slices, since nothing in C ends a flush when its task is cancelled.
            let slice = end.map { min(ContinuousClock.now.duration(to: $0), .milliseconds(200)) } ?? .milliseconds(200)
            let left = try await onThread { try handle.end(trophy_client_flush, within: slice).undelivered }
            if left == 0 || end.map({ $0 <= .now }) ?? false { return left }
            if listeners.isFinished { throw TrophyError.closedMeanwhile }
        }
    }

    // MARK: Every operation, by its name

    /// Calls any operation of the service: its parameters, "body" and "options" are the arguments.
    ///
    ///     let metrics: [Metric] = try await client.call("admin_metrics_list", ["limit": 10])
    public func call<Reply: Decodable>(_ operation: String, _ arguments: some Encodable) async throws -> sending Reply {
        try await send(operation, try encode("arguments", arguments))
    }

    /// The same, for arguments as a literal whose values are of several types.
    public func call<Reply: Decodable>(_ operation: String, _ arguments: JSON = [:]) async throws -> sending Reply {
        try await send(operation, try encode("arguments", arguments))
    }

    private func send<Reply: Decodable>(_ operation: String, _ arguments: String) async throws -> sending Reply {
        let operation = try text("operation", operation)
        let json = try await handle.reply { client, callback, userData, out in
            trophy_call_async(client, operation, arguments, callback, userData, out)
        }
        return try decode(Reply.self, json)
    }

    public func streak(_ userID: String, historyPeriods: Int? = nil) async throws -> Streak {
        struct Arguments: Encodable {
            let id: String, historyPeriods: Int?
        }
        return try await call("users_streak", Arguments(id: userID, historyPeriods: historyPeriods))
    }

    public func user(_ id: String) async throws -> User {
        try await call("users_get", ["id": id])
    }

    /// Creates the user, or changes what is given of the one there is.
    @discardableResult
    public func identify(_ user: User) async throws -> User {
        struct Arguments: Encodable {
            let id: String, body: [String: JSON]
        }
        var body = try decode([String: JSON].self, Data(try encode("user", user).utf8))
        body["id"] = nil
        return try await call("users_identify", Arguments(id: user.id, body: body))
    }

    public func achievements(_ userID: String) async throws -> [Achievement] {
        try await call("users_achievements", ["id": userID])
    }

    public func points(_ userID: String, _ key: String) async throws -> Points {
        try await call("users_points", ["id": userID, "key": key])
    }

    // MARK: The client itself

    /// Delivers what is queued and waits for the calls under way, for at most `timeout`, then ends the client. A task
    /// that is cancelled waits no longer. Again does nothing. Of a tenant's handle it only lets go. A client that is
    /// not closed ends with its last reference, at once.
    ///
    /// - Returns: What was left.
    @discardableResult
    public func close(timeout: Duration = .seconds(5)) async throws -> Ending {
        // Freed by the last call that still returns, not with this object.
        let handle = open.withLock { handle in
            defer { handle = nil }
            return handle
        }
        guard let handle, !isTenant else { return Ending() }
        let left = try await withTaskCancellationHandler {
            try await onThread { try handle.end(trophy_client_close, within: timeout) }
        } onCancel: {
            // Ends the other one.
            Thread.detachNewThread { _ = try? handle.end(trophy_client_close, within: .zero) }
        }
        listeners.finish()
        return left
    }

    /// Changes the key after it was rotated; a queue that the old one paused goes on.
    public func setAPIKey(_ apiKey: String) throws {
        let apiKey = try text("apiKey", apiKey)
        _ = try handle.ask { trophy_client_set_api_key($0, apiKey, $1) }
    }

    public func stats() throws -> Stats {
        try decode(Stats.self, handle.ask { trophy_client_stats($0, $1) })
    }

    // MARK: The library

    /// The version of the library that runs.
    public static var version: String { String(cString: trophy_version()) }

    /// Sends the log lines of all clients to `handler`, on the thread that logs, which may be any; nil ends it.
    public static func log(_ level: LogLevel, to handler: (@Sendable (LogLevel, String) -> Void)?) {
        setLog(level, handler)
    }

    /// Checks that a webhook was signed with your secret, and reads it. Throws `.invalidSignature` if it was not:
    /// answer 401 and do nothing.
    ///
    /// - Parameters:
    ///   - body: The raw bytes, as they came.
    ///   - signature: The X-Trophy-Signature header.
    public static func verifyWebhook<Payload: Decodable>(
        _ body: Data, signature: String, secret: String, as type: Payload.Type = JSON.self
    ) throws -> Payload {
        let signature = try text("signature", signature), secret = try text("secret", secret)
        return try decode(
            type,
            try body.withUnsafeBytes { bytes in
                try ask {
                    trophy_webhook_verify(
                        bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count, signature, secret, $0)
                }
            })
    }
}

/// How much is logged: a level includes those above it.
public enum LogLevel: Int32, Sendable {
    /// Something was lost or refused.
    case error = 1
    /// Something to look at: a paused queue, a call given up.
    case warn
    case info
    /// Each attempt of each request.
    case debug
}

/// An event's parameters, as the library takes them.
private struct Event {
    let key: String, user: String, value: Double
    let attributes, idempotencyKey, options: String?

    init(
        _ key: String, _ user: User, _ value: Double, _ attributes: [String: String]?, _ idempotencyKey: String?,
        _ options: TrophyClient.RequestOptions?
    ) throws {
        self.key = try text("key", key)
        self.user = try encode("user", user)
        self.value = value
        self.attributes = try attributes.map { try encode("attributes", $0) }
        self.idempotencyKey = try idempotencyKey.map { try text("idempotencyKey", $0) }
        self.options = try options.map { try encode(options: $0) }
    }
}
