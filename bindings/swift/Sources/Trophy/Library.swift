// The only file that knows C's pointers: what crosses into libtrophy and comes back.

import CTrophy
import Foundation

/// Where the library puts its JSON.
typealias Out = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// Calls the library, which answers with JSON, or with error JSON.
func ask(_ call: (Out) -> Int32) throws -> Data {
    let (status, json) = answer(call)
    guard status == OK else { throw TrophyError(json: json) }
    return json
}

private func answer(_ call: (Out) -> Int32) -> (status: Int32, json: Data) {
    var out: UnsafeMutablePointer<CChar>?
    let status = call(&out)
    defer { trophy_string_free(out) }
    return (status, bytes(out))
}

private let OK = Int32(TROPHY_STATUS_OK.rawValue)
private let TIMEOUT = Int32(TROPHY_STATUS_TIMEOUT.rawValue)
private let CANCELLED = Int32(TROPHY_STATUS_CANCELLED.rawValue)

private func bytes(_ text: UnsafePointer<CChar>?) -> Data {
    text.map { Data(bytes: $0, count: strlen($0)) } ?? Data()
}

// MARK: The client

/// A trophy_client*, which any thread may use. It is freed with its last reference.
final class Handle: @unchecked Sendable {
    private let pointer: OpaquePointer
    let listeners: Listeners

    convenience init(apiKey: String?, options: String) throws {
        try self.init(Listeners()) { trophy_client_new(apiKey, options, $0, $1) }
        use { trophy_client_on_delivery($0, delivered, Unmanaged.passUnretained(listeners).toOpaque()) }
    }

    func forTenant(_ id: String) throws -> Handle {
        try use { client in try Handle(listeners) { trophy_client_for_tenant(client, id, $0, $1) } }
    }

    private init(_ listeners: Listeners, _ make: (UnsafeMutablePointer<OpaquePointer?>, Out) -> Int32) throws {
        var pointer: OpaquePointer?
        _ = try Trophy.ask { make(&pointer, $0) }
        // Set, since it was OK.
        self.pointer = pointer!
        self.listeners = listeners
    }

    deinit {
        guard Callback.isRunning else { return trophy_client_free(pointer) }
        // The last reference may go inside a callback, where the library cannot wait for itself.
        nonisolated(unsafe) let pointer = pointer
        Thread.detachNewThread { [listeners] in
            trophy_client_free(pointer)
            // It had to live until now.
            withExtendedLifetime(listeners) {}
        }
    }

    /// Not freed before the call has returned, whatever becomes of the other references.
    func use<Result>(_ call: (OpaquePointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try call(pointer) }
    }

    func ask(_ call: (OpaquePointer, Out) -> Int32) throws -> Data {
        try use { client in try Trophy.ask { call(client, $0) } }
    }

    /// flush and close answer `{"undelivered": n, "cancelled": m}`, in time or not.
    func end(
        _ call: (OpaquePointer, Int64, Out) -> Int32, within timeout: Duration
    ) throws -> TrophyClient.Ending {
        let (status, json) = use { client in answer { call(client, milliseconds(timeout), $0) } }
        if status == CANCELLED { throw TrophyError.closedMeanwhile }
        guard status == OK || status == TIMEOUT else { throw TrophyError(json: json) }
        let left = try decode([String: Int].self, json)
        return TrophyClient.Ending(undelivered: left["undelivered"] ?? 0, cancelled: left["cancelled"] ?? 0)
    }
}

/// A text within JSON, read by the library: it reads what Foundation cannot.
func string(_ json: Data, _ pointer: String) -> String? {
    let found = (json + [0]).withUnsafeBytes {
        trophy_json_string($0.bindMemory(to: CChar.self).baseAddress, pointer)
    }
    defer { trophy_string_free(found) }
    return found.map { String(cString: $0) }
}

/// What runs on a thread of the library, as far as Swift can tell.
private enum Callback {
    private static let mark = "so.trophy.callback"

    static var isRunning: Bool { Thread.current.threadDictionary[mark] != nil }

    static func run(_ body: () -> Void) {
        let threadDictionary = Thread.current.threadDictionary
        let isOutermost = threadDictionary[mark] == nil
        threadDictionary[mark] = true
        body()
        if isOutermost { threadDictionary.removeObject(forKey: mark) }
    }
}

// MARK: Asynchronous calls

/// An asynchronous call under way. Its address is what the library knows it by.
private final class Call: Sendable {
    let handle: Handle
    let continuation = Locked<CheckedContinuation<Data, any Error>?>(nil)

    init(_ handle: Handle) {
        self.handle = handle
    }

    func cancel() {
        _ = handle.use { trophy_client_cancel($0, Unmanaged.passUnretained(self).toOpaque()) }
    }
}

extension Handle {
    /// Starts a call in the library, and waits for its callback. A task that is cancelled ends the call.
    func reply(to start: (OpaquePointer, trophy_callback, UnsafeMutableRawPointer, Out) -> Int32) async throws -> Data {
        try Task.checkCancellation()
        let call = Call(self)
        do {
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    call.continuation.value = continuation
                    let reference = Unmanaged.passRetained(call)
                    do {
                        _ = try ask { start($0, finished, reference.toOpaque(), $1) }
                    } catch {
                        // The callback, which takes the reference over, will not come.
                        reference.release()
                        return continuation.resume(throwing: error)
                    }
                    // Cancelled before there was a call to cancel?
                    if Task.isCancelled { call.cancel() }
                }
            } onCancel: {
                call.cancel()
            }
        } catch let error as TrophyError where error.code == .cancelled && Task.isCancelled {
            throw CancellationError()
        }
    }
}

private let finished: trophy_callback = { status, json, userData in
    Callback.run {
        let call = Unmanaged<Call>.fromOpaque(userData!).takeRetainedValue()
        let json = bytes(json)
        call.continuation.value?.resume(with: status == OK ? .success(json) : .failure(TrophyError(json: json)))
    }
}

// MARK: Deliveries

/// Who hears how queued events ended: the same for all handles of a client, and alive as long as one of them is.
final class Listeners: Sendable {
    private struct State {
        var streams: [Int: AsyncStream<Delivery>.Continuation] = [:]
        var count = 0
        var isFinished = false
    }

    private let state = Locked(State())

    func stream() -> AsyncStream<Delivery> {
        let (stream, continuation) = AsyncStream.makeStream(of: Delivery.self)
        let number = state.withLock { state -> Int? in
            guard !state.isFinished else { return nil }
            state.count += 1
            state.streams[state.count] = continuation
            return state.count
        }
        if let number {
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.streams[number] = nil }
            }
        } else {
            continuation.finish()
        }
        return stream
    }

    var isFinished: Bool { state.value.isFinished }

    /// The client was closed: no more events will end.
    func finish() {
        let streams = state.withLock { state in
            state.isFinished = true
            defer { state.streams = [:] }
            return state.streams
        }
        // Outside of the lock, since it calls onTermination.
        streams.values.forEach { $0.finish() }
    }

    fileprivate func hear(_ json: Data) {
        let streams = state.value.streams
        guard !streams.isEmpty, let delivery = try? decode(Delivery.self, json) else { return }
        streams.values.forEach { $0.yield(delivery) }
    }

    deinit { finish() }
}

private let delivered: trophy_callback = { _, json, userData in
    Callback.run { Unmanaged<Listeners>.fromOpaque(userData!).takeUnretainedValue().hear(bytes(json)) }
}

// MARK: Log lines

private let logger = Locked<(@Sendable (LogLevel, String) -> Void)?>(nil)

func setLog(_ level: LogLevel, _ handler: (@Sendable (LogLevel, String) -> Void)?) {
    logger.value = handler
    let callback: trophy_log_callback = { level, message, _ in
        guard let message, let handler = logger.value else { return }
        Callback.run { handler(LogLevel(rawValue: level) ?? .debug, String(cString: message)) }
    }
    trophy_log_set_callback(level.rawValue, handler == nil ? nil : callback, nil)
}

// MARK: Values

/// C would read text no further than its first NUL.
func text(_ name: String, _ value: String) throws -> String {
    guard !value.utf8.contains(0) else {
        throw TrophyError(code: .invalidArgument, message: "\(name): must not hold U+0000")
    }
    return value
}

func encode(_ name: String, _ value: some Encodable) throws -> String {
    try encode(name, value, with: JSONEncoder())
}

/// The names of options: timeoutInSeconds is timeout_in_seconds in JSON.
func encode(options: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return try encode("options", options, with: encoder)
}

private func encode(_ name: String, _ value: some Encodable, with encoder: JSONEncoder) throws -> String {
    do {
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
        throw TrophyError(code: .invalidArgument, message: "\(name): cannot be written as JSON: \(error)")
    }
}

func decode<Value: Decodable>(_ type: Value.Type, _ json: Data) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: json)
    } catch {
        throw TrophyError(code: .invalidResponse, message: "the reply is no \(type): \(error)")
    }
}

func milliseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    // Rounded up, so that a wait is never none.
    let (milliseconds, tooMany) = seconds.multipliedReportingOverflow(by: 1000)
    return tooMany ? .max : max(0, milliseconds + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
}

/// Runs what blocks on a thread of its own: none of Swift's few waits for the network.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var guarded: Value

    init(_ value: Value) {
        guarded = value
    }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&guarded)
    }

    var value: Value {
        get { withLock { $0 } }
        set { withLock { $0 = newValue } }
    }
}
