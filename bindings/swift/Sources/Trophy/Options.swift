extension TrophyClient {
    /// Client options. What is nil has the default that trophy.h tells.
    public struct Options: Encodable, Sendable {
        /// Of the application API; else the variable TROPHY_BASE_URL, else Trophy's own.
        public var baseURL: String?
        /// Of the admin API; else the variable TROPHY_ADMIN_BASE_URL, else Trophy's own.
        public var adminBaseURL: String?
        public var environment: String?
        public var tenantID: String?
        /// A whole call, retries and waits included. 60.
        public var timeoutInSeconds: Double?
        /// One attempt of it. 20.
        public var attemptTimeoutInSeconds: Double?
        public var connectTimeoutInSeconds: Double?
        public var maxRetries: Int?
        public var additionalHeaders: [String: String]?
        public var proxy: String?
        /// A PEM file of the certificates to trust in place of the roots.
        public var caFile: String?
        /// The roots: Mozilla's, or the machine's own store.
        public var tlsRoots: TLSRoots?
        /// Plain http to other hosts than this one.
        public var allowInsecureHTTP: Bool?
        public var maxResponseBytes: Int?
        /// Threads for calls, started when needed. 4.
        public var workers: Int?
        public var maxPendingCalls: Int?
        public var userAgent: String?
        public var queue = Queue()

        public init() {}
    }

    public enum TLSRoots: String, Encodable, Sendable { case builtin, system }

    public struct Queue: Encodable, Sendable {
        public enum Durability: String, Encodable, Sendable { case process, power }
        public enum Overflow: String, Encodable, Sendable { case reject, dropOldest = "drop_oldest" }
        public enum DeliveryMode: String, Encodable, Sendable { case auto, single, batch }

        /// Its folder. Without one what is queued is lost with the process.
        public var path: String?
        public var durability: Durability?
        public var maxEvents: Int?
        public var maxBytes: Int?
        public var maxAgeInSeconds: Double?
        public var overflow: Overflow?
        public var delivery: DeliveryMode?
        public var batchSize: Int?
        public var requestsPerSecond: Double?
        public var coalesce: Bool?
    }

    /// Options of one call: they win over the client's.
    public struct RequestOptions: Encodable, Sendable {
        public var apiKey: String?
        public var tenantID: String?
        public var baseURL: String?
        public var timeoutInSeconds: Double?
        public var maxRetries: Int?
        public var additionalHeaders: [String: String]?
        public var additionalQueryParameters: [String: String]?
        public var additionalBodyParameters: [String: JSON]?

        public init() {}
    }
}
