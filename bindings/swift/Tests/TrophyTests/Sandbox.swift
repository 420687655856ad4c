import Foundation
import Testing

@testable import Trophy

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

let key = "sandbox_admin.open-sesame"

/// A local Trophy, of this process: TROPHY_SANDBOX is the program.
struct Sandbox: Sendable {
    static let shared = Sandbox()

    let url: String
    let adminURL: String
    private let process: Process
    // It ends when this closes: with this process, at the latest.
    private let stdin = Pipe()

    private init() {
        struct Ready: Decodable {
            let url: String, adminUrl: String
        }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("trophy-\(UUID().uuidString)")
        process = Process()
        process.executableURL = URL(fileURLWithPath: ProcessInfo.processInfo.environment["TROPHY_SANDBOX"]!)
        process.arguments = ["--port", "0", "--exit-with-stdin", "--ready-file", file.path]
        process.standardInput = stdin
        process.standardOutput = FileHandle.nullDevice
        try! process.run()
        while !FileManager.default.fileExists(atPath: file.path) {
            precondition(process.isRunning, "the sandbox did not start")
            Thread.sleep(forTimeInterval: 0.01)
        }
        let ready = try! JSONDecoder().decode(Ready.self, from: Data(contentsOf: file))
        try! FileManager.default.removeItem(at: file)
        (url, adminURL) = (ready.url, ready.adminUrl)
    }

    /// Asks /_sandbox; with a body it is a POST.
    @discardableResult
    func ask(_ path: String, _ body: JSON? = nil) async throws -> JSON {
        var request = URLRequest(url: URL(string: url.dropLast("/v1".count) + "/_sandbox" + path)!)
        if let body {
            request.httpMethod = "POST"
            request.httpBody = try JSONEncoder().encode(body)
        }
        let (data, _) = try await URLSession.shared.data(for: request)
        return data.isEmpty ? .null : try JSONDecoder().decode(JSON.self, from: data)
    }

    /// Requests of this operation are never answered.
    func hang(_ operation: String = "metrics_event") async throws {
        try await ask("/faults", ["fault": "hang", "operation": .string(operation)])
    }

    func requests(_ operation: String) async throws -> Double {
        try await ask("/ledger")["requests"]?[operation]?.number ?? 0
    }

    func events() async throws -> Double? {
        try await ask("/ledger")["events"]?.number
    }

    func client(_ change: (inout TrophyClient.Options) -> Void = { _ in }) throws -> TrophyClient {
        var options = TrophyClient.Options()
        options.baseURL = url
        options.adminBaseURL = adminURL
        options.queue.requestsPerSecond = 1000
        change(&options)
        return try TrophyClient(apiKey: key, options: options)
    }
}

/// Waits until it is so; what takes longer than 2 minutes has failed.
func wait(for condition: () async throws -> Bool, location: SourceLocation = #_sourceLocation) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !condition() {
        try #require(ContinuousClock.now < end, "waited too long", sourceLocation: location)
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// The error that this throws, if it is one of ours with this code.
@discardableResult
func failure<Value>(
    _ code: TrophyError.Code, location: SourceLocation = #_sourceLocation, _ body: () async throws -> Value
) async throws -> TrophyError {
    do {
        _ = try await body()
    } catch let error as TrophyError where error.code == code {
        return error
    }
    Issue.record("no error, not \(code)", sourceLocation: location)
    throw CancellationError()
}

/// A new folder, gone afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("trophy-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.path)
}

/// Threads of this process by the library's names for them, where /proc tells.
func libraryThreads() -> Int {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return tasks.filter { task in
        // It may have just ended.
        let name = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
        return name?.hasPrefix("trophy-") ?? false
    }.count
}

/// nil where there is no /proc.
func residentBytes() -> Int? {
    let pages = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[1]
    return pages.flatMap { Int($0) }.map { $0 * 4096 }
}
