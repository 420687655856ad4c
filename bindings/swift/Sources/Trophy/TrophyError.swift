import Foundation

/// A call that failed. `message` is for people: it names what was wrong and says what to do.
public struct TrophyError: LocalizedError, Hashable, Sendable {
    public enum Code: String, Sendable {
        case invalidArgument = "invalid_argument"
        case closed, cancelled, network, timeout, tls
        case invalidResponse = "invalid_response"
        case badRequest = "bad_request"
        case unauthorized, forbidden
        case notFound = "not_found"
        case unprocessable
        case rateLimited = "rate_limited"
        case http, server
        case queueFull = "queue_full"
        case storage, expired
        case invalidSignature = "invalid_signature"
        case panic
        /// One that a newer library has and this file does not know.
        case unknown
    }

    public var code: Code
    public var message: String
    /// The service's answer, if it answered.
    public var httpStatus: Int?
    /// How often it was tried.
    public var attempts: Int?
    /// How long the service asks to be left alone.
    public var retryAfter: Duration?
    /// What the service sent.
    public var body: JSON?

    public var errorDescription: String? { "\(code): \(message)" }
}

extension TrophyError: Decodable {
    private enum CodingKeys: CodingKey {
        case code, message, httpStatus, attempts, retryAfterMs, body
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        code = field(.code).flatMap(Code.init(rawValue:)) ?? .unknown
        message = field(.message) ?? ""
        httpStatus = field(.httpStatus)
        attempts = field(.attempts)
        retryAfter = (field(.retryAfterMs) as Int64?).map(Duration.milliseconds)
        body = field(.body)
    }

    /// Error JSON: `{"error": {...}}`.
    init(json: Data) {
        let reply = try? JSONDecoder().decode([String: TrophyError].self, from: json)
        // What a server sent may be JSON, and nothing that Foundation reads.
        self = reply?["error"] ?? TrophyError(
            code: string(json, "/error/code").flatMap(Code.init(rawValue:)) ?? .unknown,
            message: string(json, "/error/message") ?? String(decoding: json, as: UTF8.self))
    }

    static var closedMeanwhile: TrophyError {
        TrophyError(code: .cancelled, message: "the client was closed meanwhile")
    }

    init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}
