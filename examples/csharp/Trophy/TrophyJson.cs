// JSON text with readers, and JSON made from C#'s objects: Mono has no library for it that Unity and .NET have too.

using System;
using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace Trophy
{
    /// <summary>
    /// A reply of the service: its JSON text, and readers by JSON Pointer (<c>/currentStreak/length</c>). For more than
    /// a few values, give <see cref="ToString"/> to the JSON library of your choice.
    /// </summary>
    public struct TrophyJson
    {
        // As C has it: UTF-8 that ends in NUL.
        private readonly byte[] utf8;

        public TrophyJson(string text) : this(Native.Text("text", text))
        {
        }

        private TrophyJson(byte[] utf8)
        {
            this.utf8 = utf8;
        }

        /// <summary>The number there; null if there is none.</summary>
        public double? Number(string pointer)
        {
            double number = Number(pointer, double.NaN);
            return double.IsNaN(number) ? (double?)null : number;
        }

        /// <summary>The number there, or <paramref name="fallback"/>.</summary>
        public double Number(string pointer, double fallback)
        {
            return Native.trophy_json_number(utf8, Native.Text("pointer", pointer), fallback);
        }

        /// <summary>The string there, unescaped; any other value as its JSON text; null if there is none.</summary>
        public string String(string pointer)
        {
            IntPtr text = Native.trophy_json_string(utf8, Native.Text("pointer", pointer));
            return text == IntPtr.Zero ? null : Take(text).ToString();
        }

        /// <summary>Whether the value there is <c>true</c>.</summary>
        public bool IsTrue(string pointer)
        {
            return String(pointer) == "true";
        }

        /// <summary>How many items or members the array or object there has; -1 if there is none.</summary>
        public long Length(string pointer)
        {
            return Native.trophy_json_length(utf8, Native.Text("pointer", pointer));
        }

        /// <summary>The array or object there, to read on; null if there is none.</summary>
        public TrophyJson? At(string pointer)
        {
            return Length(pointer) < 0 ? (TrophyJson?)null : new TrophyJson(String(pointer));
        }

        /// <summary>The text.</summary>
        public override string ToString()
        {
            return utf8 == null ? "null" : Native.Utf8.GetString(utf8, 0, utf8.Length - 1);
        }

        /// <summary>
        /// Writes null, booleans, numbers, strings, dates, dictionaries, sequences, <see cref="TrophyJson"/>, and the
        /// public properties of any other object.
        /// </summary>
        public static string Write(object value)
        {
            var text = new StringBuilder();
            Write(value, text);
            return text.ToString();
        }

        internal static TrophyJson Of(byte[] utf8)
        {
            return new TrophyJson(utf8);
        }

        /// <summary>Copies a text of C's.</summary>
        internal static TrophyJson Read(IntPtr text)
        {
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0)
            {
                length++;
            }
            var utf8 = new byte[length + 1];
            Marshal.Copy(text, utf8, 0, length);
            return new TrophyJson(utf8);
        }

        /// <summary>Copies a text of C's that is ours, and frees it.</summary>
        internal static TrophyJson Take(IntPtr text)
        {
            try
            {
                return Read(text);
            }
            finally
            {
                Native.trophy_string_free(text);
            }
        }

        private static void Write(object value, StringBuilder text)
        {
            if (value == null || value is TrophyJson)
            {
                text.Append(value ?? "null");
            }
            else if (value is bool)
            {
                text.Append((bool)value ? "true" : "false");
            }
            else if (value is string || value is char || value is Guid)
            {
                Quote(value.ToString(), text);
            }
            else if (value is DateTime)
            {
                Quote(((DateTime)value).ToUniversalTime().ToString("o", CultureInfo.InvariantCulture), text);
            }
            else if (value is DateTimeOffset)
            {
                Write(((DateTimeOffset)value).UtcDateTime, text);
            }
            else if (value is double || value is float)
            {
                double number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                if (double.IsNaN(number) || double.IsInfinity(number))
                {
                    throw TrophyException.InvalidArgument("JSON has no number for " + number);
                }
                text.Append(((IFormattable)value).ToString("R", CultureInfo.InvariantCulture));
            }
            else if (!(value is Enum) && Type.GetTypeCode(value.GetType()) != TypeCode.Object)
            {
                text.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            }
            else if (value is IDictionary)
            {
                WriteMembers((IDictionary)value, text);
            }
            else if (value is IEnumerable)
            {
                char before = '[';
                foreach (object item in (IEnumerable)value)
                {
                    text.Append(before);
                    Write(item, text);
                    before = ',';
                }
                text.Append(before == '[' ? "[]" : "]");
            }
            else
            {
                WriteProperties(value, text);
            }
        }

        private static void WriteMembers(IDictionary members, StringBuilder text)
        {
            char before = '{';
            foreach (DictionaryEntry member in members)
            {
                text.Append(before);
                Quote(Convert.ToString(member.Key, CultureInfo.InvariantCulture), text);
                text.Append(':');
                Write(member.Value, text);
                before = ',';
            }
            text.Append(before == '{' ? "{}" : "}");
        }

        private static void WriteProperties(object value, StringBuilder text)
        {
            char before = '{';
            foreach (PropertyInfo property in value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
            {
                text.Append(before);
                Quote(property.Name, text);
                text.Append(':');
                Write(property.GetValue(value, null), text);
                before = ',';
            }
            if (before == '{')
            {
                throw TrophyException.InvalidArgument("JSON has no value for a " + value.GetType());
            }
            text.Append('}');
        }

        private static void Quote(string value, StringBuilder text)
        {
            text.Append('"');
            foreach (char c in value)
            {
                if (c == '"' || c == '\\')
                {
                    text.Append('\\').Append(c);
                }
                else if (c < ' ')
                {
                    text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                }
                else
                {
                    text.Append(c);
                }
            }
            text.Append('"');
        }
    }
}
