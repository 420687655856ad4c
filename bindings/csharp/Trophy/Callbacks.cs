// Callbacks: who waits for them, and the thread they run on; nothing here is public.

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;

namespace Trophy
{
    /// <summary>
    /// The callbacks of a client, the same for all its handles. They run on a thread of the runtime's own, which waits
    /// in trophy_client_dispatch(): the library's threads block signals, and by signals Mono stops threads for a garbage
    /// collection, so that it would wait for ever for one that has once run managed code.
    /// </summary>
    internal sealed class Callbacks
    {
        private const int WaitMs = 100;

        private readonly ClientHandle client;
        private readonly string mode;
        private readonly Loop loop = new Loop();
        private Thread thread;
        private Action<TrophyDelivery> handlers;
        private IntPtr id;

        /// <param name="mode">what the options say: "dispatch", "worker", or null for a thread of ours</param>
        public Callbacks(ClientHandle client, string mode)
        {
            this.client = client;
            this.mode = mode;
        }

        /// <summary>In Dispatch() a game wants its tasks to go on; else they are not to hold up the callbacks.</summary>
        public TaskCreationOptions Completion
        {
            get
            {
                return mode == "dispatch" ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously;
            }
        }

        public void Start()
        {
            lock (this)
            {
                if (mode == null && thread == null)
                {
                    // It knows the handle only, so that the client can be forgotten.
                    ClientHandle handle = client;
                    Loop running = loop;
                    thread = new Thread(() => running.Run(handle)) { IsBackground = true, Name = "trophy" };
                    Ending.Watch(running, thread);
                    thread.Start();
                }
            }
        }

        /// <summary>The client is closed: its thread, which keeps the handle from being freed, ends.</summary>
        public void Stop()
        {
            loop.IsOver = true;
        }

        /// <summary>For a client that nobody closed.</summary>
        public void Forget()
        {
            handlers = null;
            Stop();
            if (thread == null)
            {
                return;
            }
            try
            {
                Native.trophy_client_close(client, 0, out IntPtr json);
                Native.trophy_string_free(json);
            }
            catch (ObjectDisposedException)
            {
                // Closed, or being closed.
            }
        }

        public void Add(ClientHandle handle, Action<TrophyDelivery> handler)
        {
            Start();
            lock (this)
            {
                if (id == IntPtr.Zero)
                {
                    // Weak, so that a handler which holds its client does not keep both for ever.
                    var weak = new WeakReference<Callbacks>(this);
                    id = Waiting.Add(false, (status, json) =>
                    {
                        if (weak.TryGetTarget(out Callbacks callbacks))
                        {
                            callbacks.Hear(status, json);
                        }
                    });
                    Native.trophy_client_on_delivery(handle, Waiting.Callback, id);
                }
                handlers += handler;
            }
        }

        public void Remove(Action<TrophyDelivery> handler)
        {
            lock (this)
            {
                handlers -= handler;
            }
        }

        private void Hear(TrophyStatus status, TrophyJson json)
        {
            Action<TrophyDelivery> raise = handlers;
            if (raise != null)
            {
                raise(new TrophyDelivery(status, json));
            }
        }

        ~Callbacks()
        {
            Waiting.Remove(id);
        }

        private sealed class Loop
        {
            public volatile bool IsOver;

            public void Run(ClientHandle client)
            {
                try
                {
                    // Mono does not end while a thread of its own waits in C: so none waits long.
                    while (!IsOver)
                    {
                        Native.trophy_client_dispatch(client, WaitMs);
                    }
                }
                catch (ObjectDisposedException)
                {
                    // Closed, too.
                }
                finally
                {
                    Ending.Forget(this);
                }
            }
        }

        /// <summary>
        /// Mono stops all threads before it ends. It aborts if one comes back from C in that moment ("Cannot transition
        /// thread"), writes a report, and its watchdog kills it after half a minute if that hangs. So the threads that wait
        /// in C are asked to come back before: one that is in a handler is not waited for long.
        /// </summary>
        private static class Ending
        {
            private static readonly ConcurrentDictionary<Loop, Thread> Running = new ConcurrentDictionary<Loop, Thread>();

            static Ending()
            {
                if (Type.GetType("Mono.Runtime") != null)
                {
                    AppDomain.CurrentDomain.ProcessExit += (sender, end) => Stop();
                }
            }

            public static void Watch(Loop loop, Thread thread)
            {
                Running[loop] = thread;
            }

            public static void Forget(Loop loop)
            {
                Running.TryRemove(loop, out Thread _);
            }

            private static void Stop()
            {
                KeyValuePair<Loop, Thread>[] running = Running.ToArray();
                foreach (KeyValuePair<Loop, Thread> one in running)
                {
                    one.Key.IsOver = true;
                }
                Stopwatch clock = Stopwatch.StartNew();
                foreach (KeyValuePair<Loop, Thread> one in running)
                {
                    if (one.Value != Thread.CurrentThread)
                    {
                        one.Value.Join((int)Math.Max(0, 3 * WaitMs - clock.ElapsedMilliseconds));
                    }
                }
            }
        }
    }

    /// <summary>
    /// Who waits for a callback. One C callback serves all, so that none is collected while C may call it, and user_data
    /// is a number, never a pointer: a callback that comes late finds nobody, and harms nothing.
    /// </summary>
    internal static class Waiting
    {
        public delegate void Listener(TrophyStatus status, TrophyJson json);

        public static readonly Native.Callback Callback = Hear;
        private static readonly Native.LogCallback Log = Write;
        private static readonly ConcurrentDictionary<long, Entry> Entries = new ConcurrentDictionary<long, Entry>();
        private static readonly object LogLock = new object();
        private static volatile Action<TrophyLogLevel, string> logListener;
        private static long lastId;

        // What is to run on this thread once C has returned.
        [ThreadStatic] private static List<Action> due;
        [ThreadStatic] private static int depth;

        /// <summary>Whether this thread is inside a callback.</summary>
        public static bool IsInside
        {
            get { return depth > 0; }
        }

        public static IntPtr Add(bool once, Listener listener)
        {
            long id = Interlocked.Increment(ref lastId);
            Entries[id] = new Entry(once, listener);
            return new IntPtr(id);
        }

        public static void Remove(IntPtr id)
        {
            Entries.TryRemove(id.ToInt64(), out Entry _);
        }

        /// <summary>Calls C, and then runs what it called back on this thread: so that it may do anything.</summary>
        public static T RunHere<T>(Func<T> call)
        {
            List<Action> outer = due;
            var mine = new List<Action>();
            due = mine;
            T result;
            try
            {
                result = call();
            }
            finally
            {
                due = outer;
            }
            var thrown = new List<Exception>();
            foreach (Action action in mine)
            {
                try
                {
                    action();
                }
                catch (Exception exception)
                {
                    thrown.Add(exception);
                }
            }
            if (thrown.Count > 0)
            {
                throw new AggregateException(thrown);
            }
            return result;
        }

        public static void SetLog(TrophyLogLevel level, Action<TrophyLogLevel, string> listener)
        {
            lock (LogLock)
            {
                if (listener != null)
                {
                    logListener = listener;
                }
                Native.trophy_log_set_callback(level, listener == null ? null : Log, IntPtr.Zero);
                logListener = listener;
            }
        }

        [MonoPInvokeCallback(typeof(Native.Callback))]
        private static void Hear(TrophyStatus status, IntPtr json, IntPtr userData)
        {
            Guard(() =>
            {
                long id = userData.ToInt64();
                if (!Entries.TryGetValue(id, out Entry entry))
                {
                    return;
                }
                if (entry.Once)
                {
                    Entries.TryRemove(id, out Entry _);
                }
                TrophyJson text = TrophyJson.Read(json);
                if (due != null)
                {
                    due.Add(() => entry.Listener(status, text));
                }
                else
                {
                    entry.Listener(status, text);
                }
            });
        }

        [MonoPInvokeCallback(typeof(Native.LogCallback))]
        private static void Write(TrophyLogLevel level, IntPtr message, IntPtr userData)
        {
            Guard(() =>
            {
                Action<TrophyLogLevel, string> listener = logListener;
                if (listener != null)
                {
                    listener(level, TrophyJson.Read(message).ToString());
                }
            });
        }

        /// <summary>No exception may cross C: it is thrown on a thread of the pool, unhandled as in any thread.</summary>
        private static void Guard(Action callback)
        {
            depth++;
            try
            {
                callback();
            }
            catch (Exception exception)
            {
                ExceptionDispatchInfo thrown = ExceptionDispatchInfo.Capture(exception);
                ThreadPool.QueueUserWorkItem(_ => thrown.Throw());
            }
            finally
            {
                depth--;
            }
        }

        private sealed class Entry
        {
            public readonly bool Once;
            public readonly Listener Listener;

            public Entry(bool once, Listener listener)
            {
                Once = once;
                Listener = listener;
            }
        }
    }

    /// <summary>Unity's compiler to C++ finds callbacks by an attribute of this name.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        public MonoPInvokeCallbackAttribute(Type type)
        {
            Type = type;
        }

        public Type Type { get; }
    }
}
