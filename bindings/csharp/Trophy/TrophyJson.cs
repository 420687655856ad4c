// JSON text with readers, and JSON made from C#'s objects: Mono has no library for it that Unity and .NET have too.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Tasks;

namespace Trophy
{
    /// <summary>
    /// A reply of the service: its JSON text, and readers by JSON Pointer (<c>/currentStreak/length</c>). For more than
    /// a few values, give <see cref="ToString"/> to the JSON library of your choice.
    /// </summary>
    public struct TrophyJson
    {
        private const int MaxDepth = 100;

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
            return utf8 == null ? "null" : Encoding.UTF8.GetString(utf8, 0, utf8.Length - 1);
        }

        /// <summary>
        /// Writes null, booleans, numbers, strings, dates, dictionaries, sequences, <see cref="TrophyJson"/>, and the
        /// public properties and fields of any other object. Throws for what is nested more than 100 deep, as an object
        /// is that returns its own type: a vector with its normalized one, say.
        /// </summary>
        public static string Write(object value)
        {
            return Write("value", value);
        }

        /// <param name="name">what a message calls the value</param>
        internal static string Write(string name, object value)
        {
            var text = new StringBuilder();
            Write(name, value, 0, text);
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

        private static void Write(string path, object value, int depth, StringBuilder text)
        {
            if (depth > MaxDepth)
            {
                string parameter = path.Split('.', '[')[0];
                throw TrophyException.InvalidArgument(parameter + ": nested too deeply, or within itself");
            }
            if (value == null || value is DBNull)
            {
                text.Append("null");
            }
            else if (value is TrophyJson)
            {
                text.Append(value);
            }
            else if (value is bool)
            {
                text.Append((bool)value ? "true" : "false");
            }
            else if (value is string || value is char || value is Guid || value is Uri)
            {
                Quote(value.ToString(), text);
            }
            else if (value is DateTime)
            {
                Quote(((DateTime)value).ToUniversalTime().ToString("o", CultureInfo.InvariantCulture), text);
            }
            else if (value is DateTimeOffset)
            {
                Write(path, ((DateTimeOffset)value).UtcDateTime, depth, text);
            }
            else if (value.GetType().FullName == "System.DateOnly")
            {
                Quote(((IFormattable)value).ToString("o", CultureInfo.InvariantCulture), text);
            }
            else if (value is double || value is float)
            {
                double number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                if (double.IsNaN(number) || double.IsInfinity(number))
                {
                    throw TrophyException.InvalidArgument(path + ": JSON has no number for " + number);
                }
                string shortest = ((IFormattable)value).ToString("R", CultureInfo.InvariantCulture);
                // On .NET Framework and Mono it may be another number.
                bool isSame = value is float || double.Parse(shortest, CultureInfo.InvariantCulture) == number;
                text.Append(isSame ? shortest : number.ToString("G17", CultureInfo.InvariantCulture));
            }
            else if (!(value is Enum) && Type.GetTypeCode(value.GetType()) != TypeCode.Object)
            {
                text.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            }
            else if (value is IEnumerable && IsMap(value))
            {
                WriteMembers(path, Members((IEnumerable)value), depth, text);
            }
            else if (value is IEnumerable)
            {
                char before = '[';
                int index = 0;
                foreach (object item in (IEnumerable)value)
                {
                    text.Append(before);
                    Write(path + "[" + index++ + "]", item, depth + 1, text);
                    before = ',';
                }
                text.Append(before == '[' ? "[]" : "]");
            }
            else
            {
                // One with an index, such as a matrix's, has no value of its own.
                Type type = value.GetType();
                PropertyInfo[] properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                    .Where(property => property.CanRead && property.GetIndexParameters().Length == 0).ToArray();
                FieldInfo[] fields = type.GetFields(BindingFlags.Public | BindingFlags.Instance);
                // To read what a task has would wait for it.
                if (properties.Length + fields.Length == 0 || value is Enum || value is Delegate || value is Task)
                {
                    throw TrophyException.InvalidArgument(path + ": JSON has no value for a " + type);
                }
                WriteMembers(path, properties.Select(property => new KeyValuePair<string, object>(
                    property.Name, Read(path, property, value))).Concat(fields.Select(field =>
                    new KeyValuePair<string, object>(field.Name, field.GetValue(value)))), depth, text);
            }
        }

        /// <summary>A dictionary of any kind: ExpandoObject is one by IDictionary&lt;string, object&gt; only.</summary>
        private static bool IsMap(object value)
        {
            return value is IDictionary || value.GetType().GetInterfaces().Any(type => type.IsGenericType
                && type.GetGenericTypeDefinition() == typeof(IEnumerable<>) && IsPair(type.GetGenericArguments()[0]));
        }

        private static bool IsPair(Type type)
        {
            return type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KeyValuePair<,>);
        }

        private static IEnumerable<KeyValuePair<string, object>> Members(IEnumerable map)
        {
            if (map is IDictionary)
            {
                foreach (DictionaryEntry member in (IDictionary)map)
                {
                    yield return new KeyValuePair<string, object>(Name(member.Key), member.Value);
                }
                yield break;
            }
            foreach (object pair in map)
            {
                Type type = pair.GetType();
                yield return new KeyValuePair<string, object>(
                    Name(type.GetProperty("Key").GetValue(pair, null)), type.GetProperty("Value").GetValue(pair, null));
            }
        }

        private static string Name(object key)
        {
            return Convert.ToString(key, CultureInfo.InvariantCulture);
        }

        private static object Read(string path, PropertyInfo property, object value)
        {
            try
            {
                return property.GetValue(value, null);
            }
            catch (Exception problem) when (problem is TargetInvocationException || problem is NotSupportedException)
            {
                string why = (problem.InnerException ?? problem).Message;
                throw TrophyException.InvalidArgument(path + "." + property.Name + ": cannot be read: " + why);
            }
        }

        private static void WriteMembers(
            string path, IEnumerable<KeyValuePair<string, object>> members, int depth, StringBuilder text)
        {
            char before = '{';
            foreach (KeyValuePair<string, object> member in members)
            {
                text.Append(before);
                Quote(member.Key, text);
                text.Append(':');
                Write(path + "." + member.Key, member.Value, depth + 1, text);
                before = ',';
            }
            text.Append(before == '{' ? "{}" : "}");
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
