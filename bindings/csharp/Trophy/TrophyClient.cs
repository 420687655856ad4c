// libtrophy for C#: Mono, .NET and Unity.

using System;
using System.Threading;
using System.Threading.Tasks;

namespace Trophy
{
    /// <summary>A client, or a tenant's handle on one. Safe from any thread; one for a process is enough.</summary>
    /// <remarks>
    /// Methods throw <see cref="TrophyException"/>, and <see cref="ObjectDisposedException"/> once the client is closed.
    /// What they take as <c>object</c> is written as JSON: an anonymous object, a dictionary, a <see cref="TrophyJson"/>.
    /// A user is that, or a string: the user's id.
    /// </remarks>
    public sealed class TrophyClient : IDisposable
    {
        private readonly ClientHandle handle;
        private readonly Callbacks callbacks;
        private readonly TrophyClient owner;

        /// <param name="apiKey">null: the environment variable TROPHY_API_KEY</param>
        /// <param name="options">the client options of trophy.h</param>
        public TrophyClient(string apiKey = null, object options = null)
        {
            string json = options == null ? "{}" : TrophyJson.Write("options", options);
            var given = new TrophyJson(json);
            string mode = given.String("/callbacks");
            string members = json.TrimStart();
            if (mode == null && members.StartsWith("{", StringComparison.Ordinal))
            {
                json = "{\"callbacks\":\"dispatch\"" + (given.Length("") > 0 ? "," : "") + members.Substring(1);
            }
            byte[] key = Native.Text("apiKey", apiKey);
            Native.Take(Native.trophy_client_new(key, Native.Text("options", json), out handle, out IntPtr error), error);
            callbacks = new Callbacks(handle, mode);
            owner = this;
        }

        private TrophyClient(TrophyClient owner, string tenantId)
        {
            byte[] tenant = Native.Text("tenantId", tenantId);
            Native.Take(Native.trophy_client_for_tenant(owner.handle, tenant, out handle, out IntPtr error), error);
            callbacks = owner.callbacks;
            this.owner = owner;
        }

        /// <summary>A client that nobody closed. It has no call under way.</summary>
        ~TrophyClient()
        {
            if (owner == this)
            {
                callbacks.Forget();
            }
        }

        /// <summary>The same client (connections, threads, queue), whose calls are for a tenant.</summary>
        public TrophyClient ForTenant(string tenantId)
        {
            return new TrophyClient(owner, tenantId);
        }

        // ---- Events -------------------------------------------------------------------------------------------------

        /// <summary>Sends an event and waits for its reply: adds <paramref name="value"/> to a user's metric.</summary>
        /// <param name="idempotencyKey">what makes it the same as another, your row's id, say; null: one is made</param>
        public TrophyJson Event(string key, object user, double value = 1, object attributes = null,
            string idempotencyKey = null, object options = null)
        {
            var text = new EventText(key, user, attributes, idempotencyKey, options);
            return Take(Native.trophy_metrics_event(handle, text.Key, text.User, value, text.Attributes,
                text.IdempotencyKey, text.Options, out IntPtr json), json);
        }

        /// <summary>Sends an event without waiting. An event under way that is cancelled may have been counted.</summary>
        public Task<TrophyJson> EventAsync(string key, object user, double value = 1, object attributes = null,
            string idempotencyKey = null, object options = null, CancellationToken cancel = default(CancellationToken))
        {
            return Begin(cancel, id =>
            {
                var text = new EventText(key, user, attributes, idempotencyKey, options);
                Native.Take(Native.trophy_metrics_event_async(handle, text.Key, text.User, value, text.Attributes,
                    text.IdempotencyKey, text.Options, Waiting.Callback, id, out IntPtr json), json);
            });
        }

        /// <summary>Puts an event into the queue, which delivers it, offline too. Gives its idempotency key.</summary>
        public string Enqueue(string key, object user, double value = 1, object attributes = null,
            string idempotencyKey = null, object options = null)
        {
            var text = new EventText(key, user, attributes, idempotencyKey, options);
            return Take(Native.trophy_metrics_event_enqueue(handle, text.Key, text.User, value, text.Attributes,
                text.IdempotencyKey, text.Options, out IntPtr json), json).String("/idempotencyKey");
        }

        /// <summary>Raised when a queued event was delivered, refused, or expired: on the client's callback thread, or
        /// inside <see cref="Dispatch"/>. For all handles of the client. A handler must not close the client.</summary>
        public event Action<TrophyDelivery> Delivered
        {
            add { callbacks.Add(handle, value); }
            remove { callbacks.Remove(value); }
        }

        /// <summary>Waits until the queue is empty, or the time has passed; a negative time waits for ever.</summary>
        /// <returns>how many events are undelivered</returns>
        public long Flush(TimeSpan timeout)
        {
            TrophyStatus status = Native.trophy_client_flush(handle, Milliseconds(timeout), out IntPtr json);
            if (status == TrophyStatus.Cancelled)
            {
                Native.trophy_string_free(json);
                throw TrophyException.Of(status, "cancelled", "Flush: the client was closed meanwhile");
            }
            return (long)Take(status, json, TrophyStatus.Timeout).Number("/undelivered", 0);
        }

        // ---- Every operation ----------------------------------------------------------------------------------------

        /// <summary>Calls any operation by its name: <c>Call("users_streak", new { id = "18" })</c>.</summary>
        public TrophyJson Call(string operation, object args = null)
        {
            return Take(Native.trophy_call(
                handle, Native.Text("operation", operation), Native.Json("args", args), out IntPtr json), json);
        }

        /// <summary>Calls any operation without waiting.</summary>
        public Task<TrophyJson> CallAsync(string operation, object args = null,
            CancellationToken cancel = default(CancellationToken))
        {
            return Begin(cancel, id => Native.Take(Native.trophy_call_async(handle, Native.Text("operation", operation),
                Native.Json("args", args), Waiting.Callback, id, out IntPtr json), json));
        }

        /// <summary>A user's streak.</summary>
        public TrophyJson Streak(string userId)
        {
            return Call("users_streak", new { id = userId });
        }

        /// <summary>Creates a user, or changes what is given: name, email, tz, attributes.</summary>
        public TrophyJson Identify(string userId, object fields)
        {
            return Call("users_identify", new { id = userId, body = fields });
        }

        /// <summary>A user's completed achievements.</summary>
        public TrophyJson Achievements(string userId)
        {
            return Call("users_achievements", new { id = userId });
        }

        /// <summary>Marks an achievement as completed by a user.</summary>
        public TrophyJson CompleteAchievement(string key, object user)
        {
            return Call("achievements_complete", new { key, body = new { user = EventText.UserOf(user) } });
        }

        /// <summary>A user's points.</summary>
        public TrophyJson Points(string userId, string key)
        {
            return Call("users_points", new { id = userId, key });
        }

        /// <summary>A leaderboard with the first of its rankings.</summary>
        public TrophyJson Leaderboard(string key, int limit = 10)
        {
            return Call("leaderboards_get", new { key, limit });
        }

        // ---- The client itself --------------------------------------------------------------------------------------

        /// <summary>What the client has done and has to do.</summary>
        public TrophyJson Stats()
        {
            return Take(Native.trophy_client_stats(handle, out IntPtr json), json);
        }

        /// <summary>Changes the key after it was rotated; a queue that was paused by the old one goes on.</summary>
        public void SetApiKey(string apiKey)
        {
            Take(Native.trophy_client_set_api_key(handle, Native.Text("apiKey", apiKey), out IntPtr json), json);
        }

        /// <summary>
        /// With the option <c>callbacks = "dispatch"</c>: completes tasks and raises <see cref="Delivered"/>, on this
        /// thread. What handlers throw comes out as an <see cref="AggregateException"/>.
        /// </summary>
        /// <param name="timeout">how long to wait for the first; negative: for ever</param>
        /// <returns>how many were run</returns>
        public int Dispatch(TimeSpan timeout)
        {
            int count = Waiting.RunHere(() => (int)Native.trophy_client_dispatch(handle, Milliseconds(timeout)));
            GC.KeepAlive(this);
            return count;
        }

        /// <summary>Closes the client within 2 seconds.</summary>
        public void Dispose()
        {
            Close(TimeSpan.FromSeconds(2));
        }

        /// <summary>
        /// Ends the client: delivers what is queued for up to <paramref name="timeout"/>, then cancels the calls that are
        /// left. Of a tenant's handle it only lets go. Again, it does nothing.
        /// </summary>
        /// <returns>what is left; undelivered events stay in the queue's folder, if it has one</returns>
        public TrophyEnding Close(TimeSpan timeout)
        {
            // It is freed when the last call that is still returning in another thread has let go of it.
            if (owner != this)
            {
                handle.Dispose();
                return default(TrophyEnding);
            }
            try
            {
                return Waiting.RunHere(() =>
                {
                    TrophyJson left = Native.Take(Native.trophy_client_close(handle, Milliseconds(timeout), out IntPtr json),
                        json, TrophyStatus.Timeout);
                    callbacks.Stop();
                    handle.Dispose();
                    GC.SuppressFinalize(this);
                    return new TrophyEnding((long)left.Number("/undelivered", 0), (long)left.Number("/cancelled", 0));
                });
            }
            catch (ObjectDisposedException)
            {
                return default(TrophyEnding);
            }
        }

        /// <summary>The version of the library that runs.</summary>
        public static string Version
        {
            get { return TrophyJson.Read(Native.trophy_version()).ToString(); }
        }

        /// <summary>Checks that Trophy signed a webhook (X-Trophy-Signature), before you read it.</summary>
        /// <returns>its JSON; throws with <see cref="TrophyStatus.InvalidSignature"/> if it was not: answer 401</returns>
        public static TrophyJson VerifyWebhook(byte[] body, string signature, string secret)
        {
            if (body == null)
            {
                throw new ArgumentNullException("body");
            }
            return Native.Take(Native.trophy_webhook_verify(body, new UIntPtr((uint)body.Length),
                Native.Text("signature", signature), Native.Text("secret", secret), out IntPtr json), json);
        }

        /// <summary>Sets where log lines go, on whatever thread they come from; null: nowhere. Not on Mono.</summary>
        public static void OnLog(TrophyLogLevel level, Action<TrophyLogLevel, string> listener)
        {
            Waiting.SetLog(level, listener);
        }

        /// <summary>
        /// The reply of a call that has returned. Until here the client is in use: .NET's collector may take one that
        /// nothing names after the call while the call waits in C, and would end it.
        /// </summary>
        private TrophyJson Take(TrophyStatus status, IntPtr json, TrophyStatus also = TrophyStatus.Ok)
        {
            GC.KeepAlive(this);
            return Native.Take(status, json, also);
        }

        private Task<TrophyJson> Begin(CancellationToken cancel, Action<IntPtr> start)
        {
            if (cancel.IsCancellationRequested)
            {
                return Task.FromCanceled<TrophyJson>(cancel);
            }
            // Its task is what the caller gets: one with an await in between would end on another thread than Dispatch's.
            var reply = new TaskCompletionSource<TrophyJson>(callbacks.Completion);
            var registration = new Registration();
            IntPtr id = Waiting.Add(true, (status, json) =>
            {
                registration.End();
                if (status == TrophyStatus.Ok)
                {
                    reply.TrySetResult(json);
                }
                else if (status == TrophyStatus.Cancelled && cancel.IsCancellationRequested)
                {
                    reply.TrySetCanceled(cancel);
                }
                else
                {
                    reply.TrySetException(new TrophyException(status, json));
                }
                // So that a client with a call under way is not forgotten.
                GC.KeepAlive(this);
            });
            try
            {
                callbacks.Start();
                start(id);
                registration.Begin(cancel.Register(() => owner.Cancel(id)));
            }
            catch (Exception exception)
            {
                Waiting.Remove(id);
                return Task.FromException<TrophyJson>(exception);
            }
            return reply.Task;
        }

        private void Cancel(IntPtr id)
        {
            try
            {
                Native.trophy_client_cancel(handle, id);
            }
            catch (ObjectDisposedException)
            {
                // Close has ended the call.
            }
        }

        private static long Milliseconds(TimeSpan time)
        {
            // Rounded up, so that a wait is never none.
            return time < TimeSpan.Zero ? -1 : (long)Math.Ceiling(time.TotalMilliseconds);
        }

        /// <summary>A call's entry with its cancellation token, which ends with the call, even if that is first.</summary>
        private sealed class Registration
        {
            private CancellationTokenRegistration registration;
            private bool isOver;

            public void Begin(CancellationTokenRegistration made)
            {
                lock (this)
                {
                    if (!isOver)
                    {
                        registration = made;
                        return;
                    }
                }
                made.Dispose();
            }

            public void End()
            {
                CancellationTokenRegistration made;
                lock (this)
                {
                    isOver = true;
                    made = registration;
                }
                // With no lock held: it waits for a cancellation under way.
                made.Dispose();
            }
        }

        /// <summary>The texts of an event, as C takes them.</summary>
        private sealed class EventText
        {
            public readonly byte[] Key, User, Attributes, IdempotencyKey, Options;

            public EventText(string key, object user, object attributes, string idempotencyKey, object options)
            {
                Key = Native.Text("key", key);
                User = Native.Json("user", UserOf(user));
                Attributes = Native.Json("attributes", attributes);
                IdempotencyKey = Native.Text("idempotencyKey", idempotencyKey);
                Options = Native.Json("options", options);
            }

            public static object UserOf(object user)
            {
                return user is string ? new { id = user } : user;
            }
        }
    }

    /// <summary>What was left when a client was closed.</summary>
    public struct TrophyEnding
    {
        internal TrophyEnding(long undelivered, long cancelled)
        {
            Undelivered = undelivered;
            Cancelled = cancelled;
        }

        /// <summary>events still in the queue</summary>
        public long Undelivered { get; }

        /// <summary>calls that had to be cancelled</summary>
        public long Cancelled { get; }
    }

    /// <summary>How a queued event ended: with a response, or with an error.</summary>
    public sealed class TrophyDelivery
    {
        internal TrophyDelivery(TrophyStatus status, TrophyJson json)
        {
            IdempotencyKey = json.String("/idempotencyKey");
            Key = json.String("/key");
            UserId = json.String("/userId");
            Response = json.At("/response");
            Error = status == TrophyStatus.Ok ? null : new TrophyException(status, json);
        }

        public string IdempotencyKey { get; }
        public string Key { get; }
        public string UserId { get; }

        /// <summary>null if the event was not delivered</summary>
        public TrophyJson? Response { get; }

        /// <summary>null if the event was delivered</summary>
        public TrophyException Error { get; }
    }

    /// <summary>How much is logged. A level includes those above it.</summary>
    public enum TrophyLogLevel
    {
        Off = 0,
        Error = 1,
        Warn = 2,
        Info = 3,
        Debug = 4,
    }
}
