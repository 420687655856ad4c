-- JSON to Lua's values and back: the language has none of its own.
--
-- null is json.null. A table with items 1..n is an array, any other an object; json.array{} is an empty array, and
-- so is every array that was decoded.

local json = {}

json.null = setmetatable({}, { __tostring = function() return "null" end })

local array_mt = {}

--- Marks a table as an array, so that an empty one is written as [].
function json.array(items) return setmetatable(items or {}, array_mt) end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
	return '"' .. text:gsub('[%c"\\]', function(c)
		return ESCAPES[c] or string.format("\\u%04x", c:byte())
	end) .. '"'
end

local MAX_DEPTH = 100

local function encode(value, seen, depth)
	local kind = type(value)
	if value == nil or value == json.null then return "null" end
	if kind == "string" then return quote(value) end
	if kind == "boolean" then return tostring(value) end
	if kind == "number" then
		if value ~= value or value == math.huge or value == -math.huge then
			error("JSON has no number for " .. tostring(value), 0)
		end
		-- Shorter where that is exact, so that 0.1 stays 0.1.
		local short = string.format("%.14g", value)
		return tonumber(short) == value and short or string.format("%.17g", value)
	end
	if kind ~= "table" then error("JSON has no value for a " .. kind, 0) end
	if seen[value] then error("JSON cannot hold a table that contains itself", 0) end
	if depth > MAX_DEPTH then error("nested too deeply for JSON", 0) end
	seen[value] = true
	local parts = {}
	local text
	if getmetatable(value) == array_mt or value[1] ~= nil then
		local count = 0
		for _ in pairs(value) do count = count + 1 end
		for i = 1, count do
			if value[i] == nil then error("an array of JSON has the items 1 to n and nothing else", 0) end
			parts[i] = encode(value[i], seen, depth + 1)
		end
		text = "[" .. table.concat(parts, ",") .. "]"
	else
		for name, member in pairs(value) do
			if type(name) ~= "string" then error("the names of a JSON object are strings, not " .. type(name), 0) end
			parts[#parts + 1] = quote(name) .. ":" .. encode(member, seen, depth + 1)
		end
		text = "{" .. table.concat(parts, ",") .. "}"
	end
	seen[value] = nil
	return text
end

--- Writes a value as JSON. Raises an error for what JSON cannot hold.
function json.encode(value) return encode(value, {}, 0) end

local function utf8(point)
	local char, floor = string.char, math.floor
	if point < 0x80 then return char(point) end
	if point < 0x800 then return char(0xC0 + floor(point / 64), 0x80 + point % 64) end
	if point < 0x10000 then
		return char(0xE0 + floor(point / 4096), 0x80 + floor(point / 64) % 64, 0x80 + point % 64)
	end
	return char(0xF0 + floor(point / 262144), 0x80 + floor(point / 4096) % 64, 0x80 + floor(point / 64) % 64,
		0x80 + point % 64)
end

local UNESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function bad(at) error("not JSON at byte " .. at, 0) end

local function decode_string(text, at)
	local parts = {}
	local from = at + 1
	while true do
		local stop = text:find('["\\]', from) or bad(#text)
		parts[#parts + 1] = text:sub(from, stop - 1)
		if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
		local escape = text:sub(stop + 1, stop + 1)
		if escape == "u" then
			local point = tonumber(text:match("^%x%x%x%x", stop + 2) or bad(stop), 16)
			from = stop + 6
			if point >= 0xD800 and point < 0xE000 then
				local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", from) or "0", 16)
				if point < 0xDC00 and low > 0 then
					point = 0x10000 + (point - 0xD800) * 1024 + (low - 0xDC00)
					from = from + 6
				else
					point = 0xFFFD -- Half of a pair is no character.
				end
			end
			parts[#parts + 1] = utf8(point)
		else
			parts[#parts + 1] = UNESCAPES[escape] or bad(stop)
			from = stop + 2
		end
	end
end

local LITERALS = { { "true", true }, { "false", false }, { "null", json.null } }

local decode

local function skip(text, at) return (text:find("[^ \t\r\n]", at)) or bad(#text) end

local function decode_members(text, at, close, member)
	at = skip(text, at + 1)
	if text:sub(at, at) == close then return at + 1 end
	while true do
		at = skip(text, member(at))
		local c = text:sub(at, at)
		if c == close then return at + 1 end
		if c ~= "," then bad(at) end
		at = skip(text, at + 1)
	end
end

function decode(text, at)
	at = skip(text, at)
	local c = text:sub(at, at)
	if c == '"' then return decode_string(text, at) end
	if c == "{" then
		local object = {}
		return object, decode_members(text, at, "}", function(from)
			if text:sub(from, from) ~= '"' then bad(from) end
			local name, after = decode_string(text, from)
			after = skip(text, after)
			if text:sub(after, after) ~= ":" then bad(after) end
			object[name], after = decode(text, after + 1)
			return after
		end)
	end
	if c == "[" then
		local items = json.array()
		local n = 0
		return items, decode_members(text, at, "]", function(from)
			local item, after = decode(text, from)
			n = n + 1
			items[n] = item
			return after
		end)
	end
	for _, literal in ipairs(LITERALS) do
		local word = literal[1]
		if text:sub(at, at + #word - 1) == word then return literal[2], at + #word end
	end
	local digits = text:match("^-?%d[%d.eE+-]*", at) or bad(at)
	return tonumber(digits) or bad(at), at + #digits
end

--- Reads JSON. Raises an error if it is none.
function json.decode(text)
	local value, after = decode(text, 1)
	if text:find("[^ \t\r\n]", after) then bad(after) end
	return value
end

return json
