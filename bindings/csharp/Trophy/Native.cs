// The C library as P/Invoke sees it; nothing here is public.

using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Trophy
{
    /// <summary>Texts are UTF-8 made by hand: not every runtime marshals it.</summary>
    internal static class Native
    {
#if UNITY_IOS && !UNITY_EDITOR
        private const string Library = "__Internal";
#else
        private const string Library = "trophy";
#endif
        /// <summary>It throws where there is no UTF-8 for a text: half of a surrogate pair.</summary>
        public static readonly Encoding Utf8 = new UTF8Encoding(false, true);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void Callback(TrophyStatus status, IntPtr json, IntPtr userData);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void LogCallback(TrophyLogLevel level, IntPtr message, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr trophy_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void trophy_string_free(IntPtr text);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void trophy_log_set_callback(TrophyLogLevel level, LogCallback callback, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_new(
            byte[] apiKey, byte[] optionsJson, out ClientHandle client, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_for_tenant(
            ClientHandle client, byte[] tenantId, out ClientHandle tenant, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern UIntPtr trophy_client_dispatch(ClientHandle client, long timeoutMs);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern UIntPtr trophy_client_cancel(ClientHandle client, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_stats(ClientHandle client, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_close(ClientHandle client, long timeoutMs, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void trophy_client_free(IntPtr client);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_set_api_key(ClientHandle client, byte[] apiKey, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_metrics_event(ClientHandle client, byte[] key, byte[] userJson,
            double value, byte[] attributesJson, byte[] idempotencyKey, byte[] optionsJson, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_metrics_event_async(ClientHandle client, byte[] key, byte[] userJson,
            double value, byte[] attributesJson, byte[] idempotencyKey, byte[] optionsJson, Callback callback,
            IntPtr userData, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_metrics_event_enqueue(ClientHandle client, byte[] key, byte[] userJson,
            double value, byte[] attributesJson, byte[] idempotencyKey, byte[] optionsJson, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_client_flush(ClientHandle client, long timeoutMs, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void trophy_client_on_delivery(ClientHandle client, Callback callback, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_call(
            ClientHandle client, byte[] operation, byte[] argsJson, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_call_async(ClientHandle client, byte[] operation, byte[] argsJson,
            Callback callback, IntPtr userData, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern TrophyStatus trophy_webhook_verify(
            byte[] body, UIntPtr bodyLength, byte[] signature, byte[] secret, out IntPtr json);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern double trophy_json_number(byte[] json, byte[] pointer, double fallback);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr trophy_json_string(byte[] json, byte[] pointer);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern long trophy_json_length(byte[] json, byte[] pointer);

        /// <summary>Text for C, which would end at a U+0000.</summary>
        public static byte[] Text(string name, string text)
        {
            if (text == null)
            {
                return null;
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw TrophyException.InvalidArgument(name + ": must not hold U+0000");
            }
            try
            {
                var utf8 = new byte[Utf8.GetByteCount(text) + 1];
                Utf8.GetBytes(text, 0, text.Length, utf8, 0);
                return utf8;
            }
            catch (EncoderFallbackException)
            {
                throw TrophyException.InvalidArgument(name + ": holds half of a surrogate pair, which is no text");
            }
        }

        public static byte[] Json(string name, object value)
        {
            return value == null ? null : Text(name, TrophyJson.Write(name, value));
        }

        /// <summary>The reply; throws the error.</summary>
        /// <param name="also">another status that comes with a reply</param>
        public static TrophyJson Take(TrophyStatus status, IntPtr text, TrophyStatus also = TrophyStatus.Ok)
        {
            TrophyJson json = TrophyJson.Take(text);
            if (status != TrophyStatus.Ok && status != also)
            {
                throw new TrophyException(status, json);
            }
            return json;
        }
    }

    /// <summary>A trophy_client*, freed when nobody uses it: never under a call in another thread.</summary>
    internal sealed class ClientHandle : SafeHandle
    {
        public ClientHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            IntPtr client = handle;
            if (Waiting.IsInside)
            {
                // The library cannot end inside its own callback.
                ThreadPool.QueueUserWorkItem(_ => Native.trophy_client_free(client));
            }
            else
            {
                Native.trophy_client_free(client);
            }
            return true;
        }
    }
}
