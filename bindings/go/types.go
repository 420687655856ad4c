package trophy

import "encoding/json"

// The service adds fields: read those that are not here with Call, into a type of your own.

// An Event adds a value to a user's metric.
type Event struct {
	Metric         string // its key
	User           User
	Value          float64           // may be negative or a fraction
	Attributes     map[string]string // set up in the dashboard first
	IdempotencyKey string            // what makes it the same as another, such as your row's id; else one is made
	Options        RequestOptions
}

// A User is one of yours, by your id. With an event, what is given is set.
type User struct {
	ID                string            `json:"id,omitempty"`
	Email             string            `json:"email,omitempty"`
	Name              string            `json:"name,omitempty"`
	TZ                string            `json:"tz,omitempty"` // "Europe/London"
	DeviceTokens      []string          `json:"deviceTokens,omitempty"`
	SubscribeToEmails *bool             `json:"subscribeToEmails,omitempty"` // needs an email
	SignUpDate        string            `json:"signUpDate,omitempty"`        // "2026-01-31"
	Attributes        map[string]string `json:"attributes,omitempty"`
}

// An EventReply tells what an event changed.
type EventReply struct {
	EventID            string
	MetricID           string
	Total              float64       // of the user, in the metric
	Achievements       []Achievement // completed by this event
	CurrentStreak      CurrentStreak
	Points             map[string]Points // by points system
	Leaderboards       map[string]Rank   // by leaderboard
	IdempotencyKey     string
	IdempotentReplayed bool // it had counted before
}

// An Achievement of a user.
type Achievement struct {
	ID, Key, Name, Description, BadgeURL, Trigger string
	AchievedAt                                    string // RFC 3339
	AnniversaryYears                              int    // since sign-up, with the trigger "anniversary"
}

// A CurrentStreak is what an event left a user's streak at.
type CurrentStreak struct {
	Length                                   int
	Frequency                                string // "daily", "weekly", "monthly"
	Started, PeriodStart, PeriodEnd, Expires string // dates
	Freezes, MaxFreezes                      int
	Extended                                 bool // by this event
}

// A Streak is a user's, with its past.
type Streak struct {
	Length                                   int
	Frequency                                string // "daily", "weekly", "monthly"
	Started, PeriodStart, PeriodEnd, Expires string // dates
	Freezes, MaxFreezes                      int
	Extended                                 string // when it was last extended, RFC 3339
	StreakHistory                            []StreakPeriod
}

// A StreakPeriod is a day, week or month of a streak.
type StreakPeriod struct {
	PeriodStart, PeriodEnd string
	Length                 int
	UsedFreeze, UsedPause  bool
	ResetAt                string // when the streak was reset by hand, RFC 3339
}

// A Metric is a user's progress in it.
type Metric struct {
	ID, Key, Name string
	Current       float64
	Achievements  []Achievement
}

// Points of a user in a points system.
type Points struct {
	ID, Key, Name string
	Total         float64
	Added         float64 // by this event
	Level         *Level  // nil below the first
}

// A Level of a points system.
type Level struct {
	ID, Key, Name, Description, BadgeURL string
	Points                               float64
}

// A Rank of a user in a leaderboard, after an event; 0 if there is none.
type Rank struct {
	ID, Key, Name      string
	Rank, PreviousRank int
}

// A Leaderboard and its rankings.
type Leaderboard struct {
	ID, Key, Name, Status string
	Start, End            string // dates
	Rankings              []Ranking
}

// A Ranking is one line of a leaderboard.
type Ranking struct {
	UserID, UserName string
	Rank             int
	Value            float64
}

// A Delivery is how a queued event ended: with the service's response (an EventReply, if it was not sent in a batch),
// or with an error.
type Delivery struct {
	IdempotencyKey string
	Metric         string
	UserID         string
	Response       json.RawMessage
	Err            error // an *Error
}

// An Ending is what was left when a client was closed.
type Ending struct {
	Undelivered int // events in the queue: on disk if it has a path, else lost
	Cancelled   int // calls that had to be cancelled
}

// Stats are what a client has done and has to do.
type Stats struct {
	Queued, InFlight, Delivered, Dead, Expired, Dropped int64
	Requests, Retries, RateLimited, BytesOnDisk         int64
	CallsUnderWay, CallsWaiting                         int64
	Paused                                              bool // until SetAPIKey, since the key was refused
}
