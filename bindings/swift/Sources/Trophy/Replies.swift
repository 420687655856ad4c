// What the service takes and gives. In a reply, what it left out is 0, false, empty or nil: none of its fields is
// certain. What is not here is read with a type of your own, or as JSON: client.call("users_get", ["id": "18"]).

/// A user: an id, and what is to be set or changed. `"18"` is one too.
public struct User: Codable, Hashable, Sendable {
    public var id: String
    public var email: String?
    public var name: String?
    /// The time zone, "Europe/London": streaks turn over at its midnight.
    public var tz: String?
    public var deviceTokens: [String]?
    /// Needs an email.
    public var subscribeToEmails: Bool?
    public var signUpDate: String?
    public var attributes: [String: String]?

    public init(
        id: String, email: String? = nil, name: String? = nil, tz: String? = nil, deviceTokens: [String]? = nil,
        subscribeToEmails: Bool? = nil, signUpDate: String? = nil, attributes: [String: String]? = nil
    ) {
        self.id = id
        self.email = email
        self.name = name
        self.tz = tz
        self.deviceTokens = deviceTokens
        self.subscribeToEmails = subscribeToEmails
        self.signUpDate = signUpDate
        self.attributes = attributes
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        id = field(.id) ?? ""
        email = field(.email)
        name = field(.name)
        tz = field(.tz)
        deviceTokens = field(.deviceTokens)
        subscribeToEmails = field(.subscribeToEmails)
        signUpDate = field(.signUpDate)
        attributes = field(.attributes)
    }
}

extension User: ExpressibleByStringInterpolation {
    public init(stringLiteral id: String) { self.init(id: id) }
}

/// What an event changed.
public struct EventReply: Decodable, Hashable, Sendable {
    public let eventId: String?
    public let metricId: String?
    /// The user's new total of the metric.
    public let total: Double
    /// The achievements that this event completed.
    public let achievements: [Achievement]
    public let currentStreak: Streak?
    /// By the points system's key.
    public let points: [String: Points]
    /// By the leaderboard's key.
    public let leaderboards: [String: Rank]
    public let idempotencyKey: String?
    /// It had counted before, and did not again.
    public let idempotentReplayed: Bool

    fileprivate enum CodingKeys: CodingKey {
        case eventId, metricId, total, achievements, currentStreak, points, leaderboards
        case idempotencyKey, idempotentReplayed
    }

    public init(from decoder: any Decoder) {
        self.init(Fields(decoder))
    }

    fileprivate init(_ field: Fields<CodingKeys>) {
        eventId = field(.eventId)
        metricId = field(.metricId)
        total = field(.total) ?? 0
        achievements = field(.achievements) ?? []
        currentStreak = field(.currentStreak)
        points = field(.points) ?? [:]
        leaderboards = field(.leaderboards) ?? [:]
        idempotencyKey = field(.idempotencyKey)
        idempotentReplayed = field(.idempotentReplayed) ?? false
    }
}

public struct Streak: Decodable, Hashable, Sendable {
    public struct Period: Decodable, Hashable, Sendable {
        public let periodStart: String?
        public let periodEnd: String?
        public let length: Int
        public let usedFreeze: Bool
        public let usedPause: Bool
        /// When the streak was reset by hand.
        public let resetAt: String?

        private enum CodingKeys: CodingKey {
            case periodStart, periodEnd, length, usedFreeze, usedPause, resetAt
        }

        public init(from decoder: any Decoder) {
            let field = Fields<CodingKeys>(decoder)
            periodStart = field(.periodStart)
            periodEnd = field(.periodEnd)
            length = field(.length) ?? 0
            usedFreeze = field(.usedFreeze) ?? false
            usedPause = field(.usedPause) ?? false
            resetAt = field(.resetAt)
        }
    }

    public let length: Int
    /// "daily", "weekly", "monthly", or "yearly".
    public let frequency: String?
    /// Dates are text, "2026-01-31": they are the user's own, of no time zone.
    public let started: String?
    public let periodStart: String?
    public let periodEnd: String?
    public let expires: String?
    /// Whether this event made it longer. In the reply to an event.
    public let extended: Bool
    /// When it was last made longer. In a streak that was asked for.
    public let extendedAt: String?
    public let freezes: Int?
    public let maxFreezes: Int?
    /// The past periods, up to this one.
    public let history: [Period]

    private enum CodingKeys: CodingKey {
        case length, frequency, started, periodStart, periodEnd, expires, extended, freezes, maxFreezes
        case streakHistory
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        length = field(.length) ?? 0
        frequency = field(.frequency)
        started = field(.started)
        periodStart = field(.periodStart)
        periodEnd = field(.periodEnd)
        expires = field(.expires)
        extended = field(.extended) ?? false
        extendedAt = field(.extended)
        freezes = field(.freezes)
        maxFreezes = field(.maxFreezes)
        history = field(.streakHistory) ?? []
    }
}

public struct Achievement: Decodable, Hashable, Sendable {
    public let id: String?
    public let key: String?
    public let name: String
    public let description: String?
    public let badgeUrl: String?
    /// "metric", "streak", "api", "achievement" or "anniversary".
    public let trigger: String?
    public let achievedAt: String?
    /// Years since sign-up, with the trigger "anniversary".
    public let anniversaryYears: Int?

    private enum CodingKeys: CodingKey {
        case id, key, name, description, badgeUrl, trigger, achievedAt, anniversaryYears
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        id = field(.id)
        key = field(.key)
        name = field(.name) ?? ""
        description = field(.description)
        badgeUrl = field(.badgeUrl)
        trigger = field(.trigger)
        achievedAt = field(.achievedAt)
        anniversaryYears = field(.anniversaryYears)
    }
}

/// A user's points in a points system.
public struct Points: Decodable, Hashable, Sendable {
    public struct Level: Decodable, Hashable, Sendable {
        public let key: String?
        public let name: String
        public let points: Double

        private enum CodingKeys: CodingKey {
            case key, name, points
        }

        public init(from decoder: any Decoder) {
            let field = Fields<CodingKeys>(decoder)
            key = field(.key)
            name = field(.name) ?? ""
            points = field(.points) ?? 0
        }
    }

    public let key: String?
    public let name: String
    public let total: Double
    /// By this event. In the reply to an event.
    public let added: Double
    /// In the reply to an event only if it changed.
    public let level: Level?

    private enum CodingKeys: CodingKey {
        case key, name, total, added, level
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        key = field(.key)
        name = field(.name) ?? ""
        total = field(.total) ?? 0
        added = field(.added) ?? 0
        level = field(.level)
    }
}

/// A user's place in a leaderboard.
public struct Rank: Decodable, Hashable, Sendable {
    public let key: String?
    public let name: String
    /// nil: not on it.
    public let rank: Int?
    public let previousRank: Int?

    private enum CodingKeys: CodingKey {
        case key, name, rank, previousRank
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        key = field(.key)
        name = field(.name) ?? ""
        rank = field(.rank)
        previousRank = field(.previousRank)
    }
}

/// How a queued event ended.
public struct Delivery: Decodable, Sendable {
    public let idempotencyKey: String
    /// The metric's.
    public let key: String
    public let userId: String
    public let result: Result<EventReply, TrophyError>

    private enum CodingKeys: CodingKey {
        case idempotencyKey, key, userId, response, error
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        idempotencyKey = field(.idempotencyKey) ?? ""
        key = field(.key) ?? ""
        userId = field(.userId) ?? ""
        if let error: TrophyError = field(.error) {
            result = .failure(error)
        } else {
            // A batch is answered without what its events changed.
            result = .success(field(.response) ?? EventReply(Fields()))
        }
    }
}

/// What the client has done and has to do.
public struct Stats: Decodable, Hashable, Sendable {
    public let queued, inFlight, delivered, dead, expired, dropped: Int
    public let requests, retries, rateLimited, bytesOnDisk: Int
    /// Calls that were sent and wait for their reply, and calls that wait for their turn.
    public let callsUnderWay, callsWaiting: Int
    /// The service refused the key: the queue waits for `setAPIKey`.
    public let paused: Bool

    private enum CodingKeys: CodingKey {
        case queued, inFlight, delivered, dead, expired, dropped, requests, retries, rateLimited, bytesOnDisk
        case callsUnderWay, callsWaiting, paused
    }

    public init(from decoder: any Decoder) {
        let field = Fields<CodingKeys>(decoder)
        func count(_ key: CodingKeys) -> Int { field(key) ?? 0 }
        queued = count(.queued)
        inFlight = count(.inFlight)
        delivered = count(.delivered)
        dead = count(.dead)
        expired = count(.expired)
        dropped = count(.dropped)
        requests = count(.requests)
        retries = count(.retries)
        rateLimited = count(.rateLimited)
        bytesOnDisk = count(.bytesOnDisk)
        callsUnderWay = count(.callsUnderWay)
        callsWaiting = count(.callsWaiting)
        paused = field(.paused) ?? false
    }
}
