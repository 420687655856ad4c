// What a call can fail with.

using System;

namespace Trophy
{
    /// <summary>What went wrong. The message is for people: it names the parameter and says what to do.</summary>
    public sealed class TrophyException : Exception
    {
        internal TrophyException(TrophyStatus status, TrophyJson json) : base(json.String("/error/message"))
        {
            Status = status;
            Code = json.String("/error/code");
            HttpStatus = (int?)json.Number("/error/httpStatus");
            Attempts = (int)json.Number("/error/attempts", 0);
            double? retryAfterMs = json.Number("/error/retryAfterMs");
            RetryAfter = retryAfterMs.HasValue ? Milliseconds(retryAfterMs.Value) : (TimeSpan?)null;
            string body = json.String("/error/body");
            // A string comes without its quotes.
            Body = body == null ? (TrophyJson?)null : json.At("/error/body") ?? new TrophyJson(TrophyJson.Write(body));
        }

        internal static TrophyException InvalidArgument(string message)
        {
            return Of(TrophyStatus.InvalidArgument, "invalid_argument", message);
        }

        internal static TrophyException Of(TrophyStatus status, string code, string message)
        {
            return new TrophyException(status, new TrophyJson(TrophyJson.Write(new { error = new { code, message } })));
        }

        // A server may ask for more than a TimeSpan holds.
        private static TimeSpan Milliseconds(double milliseconds)
        {
            double ticks = milliseconds * TimeSpan.TicksPerMillisecond;
            return ticks < long.MaxValue ? TimeSpan.FromTicks((long)ticks) : TimeSpan.MaxValue;
        }

        public TrophyStatus Status { get; }

        /// <summary>The name of the status, as all languages have it: "rate_limited", say.</summary>
        public string Code { get; }

        /// <summary>What the service answered with; null if it did not.</summary>
        public int? HttpStatus { get; }

        /// <summary>How often it was tried; 0 if not at all.</summary>
        public int Attempts { get; }

        /// <summary>How long the service asks to wait; null if it does not.</summary>
        public TimeSpan? RetryAfter { get; }

        /// <summary>What the service sent; null if nothing.</summary>
        public TrophyJson? Body { get; }
    }

    /// <summary>What became of a call, as in trophy.h. Numbers are only ever added.</summary>
    public enum TrophyStatus
    {
        Ok = 0,
        InvalidArgument = 1,
        Closed = 2,
        Cancelled = 3,
        Network = 10,
        Timeout = 11,
        Tls = 12,
        InvalidResponse = 13,
        BadRequest = 20,
        Unauthorized = 21,
        Forbidden = 22,
        NotFound = 23,
        Unprocessable = 24,
        RateLimited = 25,
        Http = 26,
        Server = 27,
        QueueFull = 30,
        Storage = 31,
        Expired = 32,
        InvalidSignature = 40,
        Panic = 99,
    }
}
