-- The wrapper against the sandbox. Each test is a sentence; a failed one ends the run.

local ffi = require("ffi")
-- A program often has a module of that name, which is another.
package.loaded["json"] = {}
local trophy = require("trophy")

ffi.cdef([[
int poll(void *fds, unsigned long nfds, int timeout);
int socket(int domain, int type, int protocol);
int listen(int fd, int backlog);
int getsockname(int fd, void *addr, unsigned int *len);
int connect(int fd, const void *addr, unsigned int len);
int accept(int fd, void *addr, unsigned int *len);
long read(int fd, void *to, size_t size);
long recv(int fd, void *to, size_t size, int flags);
long write(int fd, const void *from, size_t size);
int close(int fd);
int kill(int pid, int signal);
]])

local KEY = "sandbox_admin.open-sesame"
local WAIT = 120 -- seconds; a condition that takes longer has failed
-- What takes a second on a machine of its own takes longer on a busy one; what takes ten is a wait for something.
local SLOWNESS = 10

local function read_file(path)
	local file = io.open(path)
	if not file then return nil end
	local text = file:read("*a")
	file:close()
	return text
end

local function wait_for(what, condition)
	for _ = 1, WAIT * 100 do
		local value = condition()
		if value then return value end
		ffi.C.poll(nil, 0, 10)
	end
	error("waited too long for " .. what)
end

local ready_file = os.tmpname()
os.remove(ready_file)
local sandbox = assert(io.popen(os.getenv("TROPHY_SANDBOX")
	.. " --port 0 --exit-with-stdin --ready-file " .. ready_file .. " >/dev/null", "w"))
local ready = trophy.json.decode(wait_for("the sandbox", function() return read_file(ready_file) end))
os.remove(ready_file)

local function open(options)
	local all = { base_url = ready.url, admin_base_url = ready.adminUrl, queue = { requests_per_second = 1000 } }
	for name, value in pairs(options or {}) do all[name] = value end
	return assert(trophy.new(KEY, all))
end

--- A port whose connections are taken by the kernel and never answered.
local function silent_port()
	local fd = ffi.C.socket(2, 1, 0)
	assert(ffi.C.listen(fd, 16) == 0)
	local address, length = ffi.new("unsigned char[16]"), ffi.new("unsigned int[1]", 16)
	assert(ffi.C.getsockname(fd, address, length) == 0)
	return address[2] * 256 + address[3], fd
end

--- Asks the sandbox.
local function ask(path, body)
	local port = tonumber(ready.url:match(":(%d+)/"))
	local fd, address = ffi.C.socket(2, 1, 0), ffi.new("unsigned char[16]")
	address[0], address[2], address[3] = 2, math.floor(port / 256), port % 256
	address[4], address[7] = 127, 1
	assert(ffi.C.connect(fd, address, 16) == 0)
	local head = "POST /_sandbox%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
	local request = head:format(path, port, #body, body)
	assert(ffi.C.write(fd, request, #request) == #request)
	local buffer, reply = ffi.new("char[65536]"), ""
	repeat
		local count = tonumber(ffi.C.read(fd, buffer, 65536))
		reply = reply .. ffi.string(buffer, math.max(count, 0))
	until count <= 0
	ffi.C.close(fd)
	assert(reply:find("^HTTP/1.1 2"), reply)
end

--- Starts a program that has a client, in another process: what it prints, and at last its exit code.
local function start(program, url)
	local file = os.tmpname()
	local out = assert(io.open(file, "w"))
	out:write('local trophy = require("trophy") io.stdout:setvbuf("no")\n',
		'local client = assert(trophy.new(nil, { queue = { requests_per_second = 1000 } }))\n', program)
	out:close()
	return assert(io.popen(("TROPHY_API_KEY=%s TROPHY_BASE_URL=%s luajit %s 2>&1; echo code $?; rm -f %s")
		:format(KEY, url or ready.url, file, file)))
end

--- One that prints "ending" when it begins to end: what it says then, and its exit code.
local function ending(program, url)
	local pipe = start(program, url)
	local first = pipe:read("*l")
	if first ~= "ending" then error(first .. "\n" .. pipe:read("*a")) end
	local since = os.time()
	local said, code = pipe:read("*a"):match("^(.*)code (%d+)\n$")
	pipe:close()
	assert(os.time() - since <= SLOWNESS)
	return tonumber(code), said
end

local function dispatch_until(client, condition)
	for _ = 1, WAIT * 100 do
		if condition() then return end
		assert(client:dispatch(10))
	end
	error("waited too long for callbacks")
end

--- Where trophy.lua has the function that C calls back.
local function first_line_of_callback()
	local first = 0
	for line in io.lines("trophy.lua") do
		first = first + 1
		if line:find('ffi.cast("trophy_callback"', 1, true) then return first end
	end
end

local function equal(have, want)
	if have ~= want then error(("have %s, want %s"):format(tostring(have), tostring(want)), 2) end
end

local tests = {}
local function test(name, body) tests[#tests + 1] = { name, body } end

-- shows: counts-once
test("an_event_with_the_same_key_counts_once", function(client)
	local first = assert(client:event("words-written", "lua-once", 750, { idempotency_key = "chapter-1" }))
	local again = assert(client:event("words-written", "lua-once", 750, { idempotency_key = "chapter-1" }))
	equal(first.total, 750)
	equal(first.idempotentReplayed, false)
	equal(again.total, 750)
	equal(again.idempotentReplayed, true)
end)

-- shows: errors
test("an_unknown_user_is_an_error_with_its_code", function(client)
	local reply, problem = client:streak("lua-nobody")
	equal(reply, nil)
	equal(problem.code, "not_found")
	equal(problem.http_status, 404)
	equal(type(problem.body.error), "string")
	local raised, what = pcall(function() return assert(client:streak("lua-nobody")) end)
	equal(raised, false)
	equal(what.code, "not_found")
end)

test("a_wrong_argument_is_named_and_nothing_is_sent", function(client)
	local before = client:stats().requests
	local _, problem = client:event("words-written", "lua-wrong", 1, { attributes = { genre = 7 } })
	equal(problem.code, "invalid_argument")
	assert(problem.message:find("genre", 1, true), problem.message)
	_, problem = client:event("words-written", "lua-wrong", 0 / 0)
	assert(problem.message:find("value", 1, true), problem.message)
	_, problem = client:call("users_streak", { id = "18", nonsense = 1 })
	assert(problem.message:find("nonsense", 1, true), problem.message)
	_, problem = client:event("words\0written", "lua-wrong", 1)
	equal(problem.code, "invalid_argument")
	equal(client:stats().requests, before)
	_, problem = trophy.new(KEY, { no_such_option = 1 })
	assert(problem.message:find("no_such_option", 1, true), problem.message)
	_, problem = trophy.new(KEY, { callbacks = "worker" })
	assert(problem.message:find("dispatch", 1, true), problem.message)
end)

-- shows: text, wrong-types, deep-values
test("what_cannot_be_sent_is_nil_and_an_error_that_names_it", function(client)
	local before = client:stats().requests
	local endless = {}
	endless[1] = endless
	local deep = {}
	for _ = 1, 200 do deep = { deep } end
	local function none() end
	for _, case in ipairs({
		{ "key", client:event("a\255", "18", 1) },
		{ "key: ", client:event(5, "18", 1) },
		{ "user", client:event("words-written", "a\237\160\128", 1) },
		{ "user", client:enqueue("words-written", { id = "18", attributes = { city = "\255" } }, 1) },
		{ "user: ", client:event("words-written", { id = print }, 1) },
		{ "user", client:event("words-written", 18, 1) },
		{ "user", client:event("words-written", nil, 1) },
		{ "value: ", client:event("words-written", "18", "1") },
		{ "value: ", client:enqueue("words-written", "18") },
		{ "attributes: ", client:event("words-written", "18", 1, { attributes = { [5] = "a", [{}] = 1 } }) },
		{ "attributes", client:event("words-written", "18", 1, { attributes = "genre" }) },
		{ "user: ", client:event("words-written", { id = "18", deviceTokens = { "a", nil, "c" } }, 1) },
		{ "user: ", client:event("words-written", { id = "18", deviceTokens = { "a", b = "c" } }, 1) },
		{ "args: ", client:call("streaks_list", { userIds = trophy.json.array({ a = "18" }) }) },
		{ "idempotency_key: ", client:enqueue("words-written", "18", 1, { idempotency_key = 42 }) },
		{ "idempotency_key", client:enqueue("words-written", "18", 1, { idempotency_key = "k\255" }) },
		{ "options: ", client:event("words-written", "18", 1, { options = { max_retries = 0 / 0 } }) },
		{ "more: ", client:event("words-written", "18", 1, 5) },
		{ "more: idempotencyKey", client:event("words-written", "18", 1, { idempotencyKey = "chapter-1" }) },
		{ "more: key", client:enqueue("words-written", "18", 1, { key = "chapter-1" }) },
		{ "callback: ", client:event_async("words-written", "18", 1, nil, nil) },
		{ "callback: ", client:call_async("achievements_all", nil, "print") },
		{ "id: ", client:cancel({}) },
		{ "id: ", client:cancel(nil) },
		{ "args: ", client:streak("18", 5) },
		{ "args: ", client:achievements("18", "all") },
		{ "args: ", client:leaderboard("all-time-words", true) },
		{ "callback: ", client:on_delivery(5) },
		{ "operation: ", client:call(nil and "" or {}) },
		{ "args: ", client:call("users_streak", { id = endless }) },
		{ "args: nested", client:call("users_streak", { id = deep }) },
		{ "args: ", client:call_async("users_streak", { id = none }, none) },
		{ "args", client:streak("\255") },
		{ "tenant_id: ", client:for_tenant(5) },
		{ "tenant_id", client:for_tenant("\255") },
		{ "api_key: ", client:set_api_key({}) },
		{ "api_key", client:set_api_key("\255") },
		{ "timeout_ms: ", client:flush("soon") },
		{ "timeout_ms: ", client:dispatch(0 / 0) },
		{ "timeout_ms: ", client:close({}) },
		{ "options: ", trophy.new(KEY, 5) },
		{ "options: ", trophy.new(KEY, { queue = { path = none } }) },
		{ "body: ", trophy.verify_webhook(nil, "", "") },
		{ "signature: ", trophy.verify_webhook("", 5, "") },
	}) do
		local name, reply, problem = case[1], case[2], case[3]
		equal(reply, nil)
		equal(problem.code, "invalid_argument")
		assert(problem.message:find(name, 1, true), name .. " is not in: " .. problem.message)
	end
	equal(client:stats().requests, before)
end)

-- shows: any-reply
test("no_reply_raises_anything", function()
	local client = open({ max_retries = 0 })
	for _, fault in ipairs(trophy.json.decode(read_file("../replies.json"))) do
		fault.operation, fault.count = "users_streak", 1
		ask("/faults", trophy.json.encode(fault))
		local reply, problem = client:streak("18")
		assert(reply ~= nil or problem.code)
		ask("/faults", trophy.json.encode(fault))
		local ended = false
		assert(client:call_async("users_streak", { id = "18" }, function(told, refused)
			ended = told ~= nil or refused.code
		end))
		dispatch_until(client, function() return ended end)
	end
	assert(client:close())
	equal(trophy.json.decode('"a\\ud800b\\udc00\\ud83c\\udfc6\\ud800\\u0041"'), "a�b�🏆�A")
end)

-- shows: many-errors
test("of_callbacks_that_raise_in_one_dispatch_no_error_is_lost", function()
	local client = open()
	client:on_delivery(function(delivery)
		-- In a callback anything may be called.
		assert(client:streak(delivery.userId))
		error(delivery.userId, 0)
	end)
	for _, user in ipairs({ "lua-1", "lua-2", "lua-3" }) do assert(client:enqueue("words-written", user, 1)) end
	equal(assert(client:flush(WAIT * 1000)).undelivered, 0)
	-- A call that blocks runs nobody's callback, and loses none: all three are due together.
	while #client.shared.due < 3 do assert(client:call("achievements_all")) end
	local ok, several = pcall(client.dispatch, client)
	equal(ok, false)
	table.sort(several.errors)
	equal(table.concat(several.errors, " "), "lua-1 lua-2 lua-3")
	assert(tostring(several):find("3 callbacks raised errors", 1, true))
	equal(assert(client:dispatch()), 0)
	assert(client:close())
end)

-- shows: two-numbers
test("close_tells_events_from_calls", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local codes = {}
	for user = 1, 100 do
		assert(client:event_async("words-written", "lua-" .. user, 1, nil, function(_, problem) codes[#codes + 1] = problem.code end))
	end
	local left = assert(client:close(0))
	equal(left.undelivered, 0)
	equal(left.cancelled, 100)
	equal(#codes, 100)
	client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	assert(client:enqueue("words-written", "18", 1))
	equal(assert(client:flush(0)).undelivered, 1)
	left = assert(client:close(0))
	equal(left.undelivered, 1)
	equal(left.cancelled, 0)
end)

-- shows: offline
test("an_event_outlives_its_client_offline", function()
	local folder = os.tmpname()
	os.remove(folder)
	local url = ("http://127.0.0.1:%d/v1"):format(silent_port())
	local first = open({ base_url = url, queue = { path = folder } })
	assert(first:enqueue("words-written", "lua-offline", 5))
	equal(assert(first:flush(0)).undelivered, 1)
	equal(assert(first:close(0)).undelivered, 1)
	local second = open({ queue = { path = folder } })
	equal(assert(second:flush(WAIT * 1000)).undelivered, 0)
	equal(assert(second:call("users_single_metric", { id = "lua-offline", key = "words-written" })).current, 5)
	assert(second:close())
	os.execute("rm -rf " .. folder)
end)

test("close_waits_for_calls", function()
	ask("/faults", '{"fault":"delay","ms":150,"count":1}')
	local client, total = open(), nil
	assert(client:event_async("words-written", "lua-patient", 5, nil, function(reply) total = reply.total end))
	equal(assert(client:close(-1)).cancelled, 0)
	equal(total, 5)
end)

-- shows: tenant-close
test("a_tenants_close_lets_go_of_its_handle_only", function()
	local client = open()
	local acme, other = assert(client:for_tenant("lua-acme")), assert(client:for_tenant("lua-other"))
	equal(assert(acme:close()).undelivered, 0)
	local _, problem = acme:streak("18")
	equal(problem.code, "closed")
	equal(assert(client:event("words-written", "lua-left", 1)).total, 1)
	equal(assert(other:event("words-written", "lua-left", 1)).total, 1)
	assert(client:close())
	_, problem = other:streak("18")
	equal(problem.code, "closed")
	equal(other:dispatch(1000), 0)
end)

-- shows: close-inside
test("a_callback_may_close_its_client", function()
	local client = open()
	local left
	assert(client:call_async("achievements_all", nil, function() left = assert(client:close()) end))
	dispatch_until(client, function() return left end)
	equal(left.cancelled, 0)
end)

-- shows: ends, exits, uncaught
test("a_process_ends_at_once_with_its_own_code", function()
	local busy = [[
		local idle = assert(trophy.new())
		idle:on_delivery(print)
		for user = 1, 100 do assert(client:event_async("words-written", "lua-" .. user, 1, nil, function() end)) end
		assert(client:enqueue("words-written", "18", 1))
		print("ending")
	]]
	local url = ("http://127.0.0.1:%d/v1"):format(silent_port())
	for _, case in ipairs({
		{ "", 0 }, { "os.exit(7)", 7 }, { "os.exit(8, true)", 8 }, { 'error("mine")', 1, "mine" },
		{ "client = nil collectgarbage() collectgarbage()", 0 },
	}) do
		local code, said = ending(busy .. case[1], url)
		equal(case[1] .. code, case[1] .. case[2])
		assert(case[3] and said:find(case[3], 1, true) or said == "", said)
	end
	for _, begin in ipairs({ 'client:call_async("achievements_all", nil, function() os.exit(9) end)',
		'client:on_delivery(function() os.exit(9) end) client:enqueue("words-written", "18", 1)' }) do
		for _, wait in ipairs({ "while true do client:dispatch(-1) end", "client:close(-1)" }) do
			local code, said = ending(begin .. ' print("ending") ' .. wait)
			equal(said .. code, "9")
		end
	end
end)

-- shows: interrupt
test("ctrl_c_is_heard_and_cancels_the_call", function()
	for _, call in ipairs({
		'client:event("words-written", "18", 1)',
		'client:enqueue("words-written", "18", 1) client:flush()',
		'client:enqueue("words-written", "18", 1) client:close(-1)',
		'client:event_async("words-written", "18", 1, nil, print) client:dispatch(-1)',
	}) do
		local port, listening = silent_port()
		local pipe = start([[
			require("ffi").cdef("int getpid(void);")
			print(require("ffi").C.getpid())
			local ok, problem = pcall(function() ]] .. call .. [[ end)
			print(tostring(problem):match("interrupted"))
			while ]] .. tostring(call:find(":event(", 1, true) ~= nil) .. [[ and client:stats().callsUnderWay > 0 do
				client:dispatch(1)
			end
			os.exit(5)
		]], ("http://127.0.0.1:%d/v1"):format(port))
		local pid = tonumber(pipe:read("*l"))
		local connection = ffi.C.accept(listening, nil, nil)
		ffi.C.kill(pid, 2)
		local since = os.time()
		equal(pipe:read("*a"), "interrupted\ncode 5\n")
		assert(os.time() - since <= SLOWNESS)
		ffi.C.close(connection)
		ffi.C.close(listening)
	end
end)

test("an_interrupt_in_the_middle_of_json_is_no_error_of_the_call", function(client)
	for _, call in ipairs({
		function() return client:stats() end,
		function() return client:enqueue("words-written", { id = "18" }, 1) end,
	}) do
		debug.sethook(function()
			if debug.getinfo(2, "S").source:find("trophy_json.lua", 1, true) then
				debug.sethook()
				error("json.lua:1: interrupted!", 0)
			end
		end, "l")
		local ok, problem = pcall(call)
		equal(ok, false)
		equal(problem, "json.lua:1: interrupted!")
	end
end)

test("ctrl_c_waits_until_c_has_returned", function(client)
	local function is_blocked()
		local signals = ffi.new("uint64_t[16]")
		ffi.C.trophy_sigprocmask(0, nil, signals)
		return tonumber(signals[0] % 4) >= 2
	end
	local first, blocked = first_line_of_callback(), nil
	debug.sethook(function()
		local running = debug.getinfo(2, "S")
		if running.linedefined == first and running.source:find("trophy.lua", 1, true) then blocked = is_blocked() end
	end, "l")
	assert(client:call("achievements_all"))
	debug.sethook()
	equal(blocked, true)
	equal(is_blocked(), false)
end)

test("a_close_that_is_interrupted_may_be_followed_by_another", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local code
	assert(client:call_async("achievements_all", nil, function(_, problem) code = problem.code end))
	-- As LuaJIT does it on Ctrl-C, in the middle of close().
	debug.sethook(function()
		if debug.getinfo(2, "f").func == trophy.Client.stats then
			debug.sethook()
			error("interrupted!", 0)
		end
	end, "c")
	local ok, problem = pcall(client.close, client, -1)
	equal(ok, false)
	equal(problem, "interrupted!")
	equal(code, nil)
	assert(client:close())
	equal(code, "cancelled")
end)

-- shows: scripts
test("unicode_comes_back_as_it_went", function(client)
	local name = "Zoë 漢字 🏆 \"quoted\" \\ / \n"
	assert(client:identify("lua-ü/漢", { name = name }))
	equal(assert(client:call("users_get", { id = "lua-ü/漢" })).name, name)
	equal(trophy.json.decode('"\\ud83c\\udfc6\\u00e9"'), "🏆é")
end)

test("a_hundred_asynchronous_events_each_answer_once", function(client)
	local answers, sum = {}, 0
	for i = 1, 100 do
		assert(client:event_async("words-written", "lua-async-" .. i % 10, i, nil, function(reply, problem)
			assert(reply, tostring(problem))
			answers[i] = (answers[i] or 0) + 1
			sum = sum + 1
		end))
	end
	dispatch_until(client, function() return sum >= 100 end)
	equal(client:dispatch(0), 0)
	for i = 1, 100 do equal(answers[i], 1) end
	equal(assert(client:call("users_single_metric", { id = "lua-async-0", key = "words-written" })).current, 550)
end)

-- shows: cancel
test("a_cancelled_call_says_so_once", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local codes = {}
	local id = assert(client:call_async("users_streak", { id = "18" }, function(_, problem)
		codes[#codes + 1] = problem.code
	end))
	equal(client:cancel(id), 1)
	dispatch_until(client, function() return #codes > 0 end)
	equal(client:cancel(id), 0)
	assert(client:close(0))
	equal(table.concat(codes, " "), "cancelled")
end)

test("an_error_in_a_callback_comes_out_of_dispatch", function(client)
	assert(client:call_async("achievements_all", nil, function() error("mine", 0) end))
	local ok, problem
	dispatch_until({ dispatch = function()
		ok, problem = pcall(client.dispatch, client, 10)
		return true
	end }, function() return ok == false end)
	equal(problem, "mine")
	equal(#assert(client:call("achievements_all")) > 0, true)
end)

-- shows: queue
test("queued_events_are_delivered_and_heard_of", function(client)
	local heard = {}
	client:on_delivery(function(delivery, problem) heard[delivery.idempotencyKey] = problem and problem.code or "ok" end)
	local good = assert(client:enqueue("words-written", "lua-queue", 5)).idempotencyKey
	local bad = assert(client:enqueue("no-such-metric", "lua-queue", 5)).idempotencyKey
	equal(assert(client:flush(WAIT * 1000)).undelivered, 0)
	dispatch_until(client, function() return heard[good] and heard[bad] end)
	equal(heard[good], "ok")
	local _, refused = client:event("no-such-metric", "lua-queue", 5)
	equal(heard[bad], refused.code)
	client:on_delivery(nil)
	equal(assert(client:call("users_single_metric", { id = "lua-queue", key = "words-written" })).current, 5)
end)

test("a_tenant_has_its_own_users", function(client)
	local tenant = assert(client:for_tenant("lua-tenant"))
	assert(tenant:event("words-written", "lua-lodger", 3))
	local _, problem = client:streak("lua-lodger")
	equal(problem.code, "not_found")
	equal(assert(tenant:streak("lua-lodger")).length, 1)
end)

test("the_common_operations_have_methods", function(client)
	assert(client:event("words-written", "lua-common", 600))
	equal(assert(client:complete_achievement("finish-onboarding", "lua-common")).achievement.key, "finish-onboarding")
	equal(#assert(client:achievements("lua-common")) > 0, true)
	equal(assert(client:leaderboard("all-time-words", { limit = 5 })).key, "all-time-words")
	assert(client:set_api_key(KEY))
end)

-- shows: closed
test("a_client_is_closed_once_and_then_says_so", function()
	local client = open()
	equal(assert(client:close()).undelivered, 0)
	equal(assert(client:close()).undelivered, 0)
	local _, problem = client:streak("18")
	equal(problem.code, "closed")
	_, problem = client:dispatch()
	equal(problem.code, "closed")
end)

test("calls_that_wait_are_told_when_the_client_closes", function()
	local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
	local codes = {}
	for _ = 1, 10 do
		assert(client:call_async("achievements_all", nil, function(_, problem) codes[#codes + 1] = problem.code end))
	end
	client:close(0)
	equal(table.concat(codes, " "), ("cancelled "):rep(9) .. "cancelled")
end)

-- shows: webhook
test("a_webhook_is_checked", function()
	-- RFC 4231, test case 2.
	local body, signature = "what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
	equal(trophy.verify_webhook(body, signature, "Jefe"), trophy.null)
	local _, problem = trophy.verify_webhook(body .. "!", signature, "Jefe")
	equal(problem.code, "invalid_signature")
end)

-- shows: memory
test("ten_thousand_calls_leave_the_memory_flat", function(client)
	local function pages()
		collectgarbage() collectgarbage()
		return tonumber(read_file("/proc/self/statm"):match("%d+ (%d+)"))
	end
	local function many()
		for _ = 1, 10000 do
			client:stats()
			client:call("users_streak", { id = "18", nonsense = 1 })
		end
	end
	many()
	local before = pages()
	many()
	assert((pages() - before) * 4 < 2048, "grew by " .. (pages() - before) * 4 .. " KiB")
end)

-- shows: freed
test("a_forgotten_client_is_collected", function()
	for _ = 1, 20 do
		local client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(silent_port()) })
		assert(client:call_async("achievements_all", nil, function() end))
	end
	collectgarbage() collectgarbage()
end)

test("callbacks_that_hold_their_client_do_not_keep_it", function()
	local port, listening = silent_port()
	local function forget()
		-- Without these times the connection would end with the call.
		local times = { timeout_in_seconds = WAIT * 10, attempt_timeout_in_seconds = WAIT * 10 }
		times.base_url = ("http://127.0.0.1:%d/v1"):format(port)
		local client = open(times)
		assert(client:on_delivery(function() client:stats() end))
		assert(client:call_async("achievements_all", nil, function() client:stats() end))
	end
	coroutine.wrap(forget)() -- on another stack, where what it leaves is collected
	local connection = ffi.C.accept(listening, nil, nil)
	-- It was freed if its connection ends.
	local buffer = ffi.new("char[65536]")
	wait_for("the connection's end", function()
		collectgarbage()
		return ffi.C.recv(connection, buffer, 65536, 0x40) == 0
	end)
	ffi.C.close(connection)
	ffi.C.close(listening)
end)

test("a_client_that_is_collected_in_a_callback_is_freed_after_it", function(client)
	local port, listening = silent_port()
	local held, is_held = {}, true
	local function begin()
		held.client = open({ base_url = ("http://127.0.0.1:%d/v1"):format(port) })
		assert(held.client:call_async("achievements_all", nil, function() end))
	end
	coroutine.wrap(begin)() -- on another stack, where what it leaves is collected
	local connection = ffi.C.accept(listening, nil, nil)
	local first = first_line_of_callback()
	debug.sethook(function()
		local running = debug.getinfo(2, "Sl")
		local is_callback = running.linedefined == first and running.source:find("trophy.lua", 1, true)
		-- Not in its first line, which makes nothing that could be collected.
		if is_held and is_callback and running.currentline > first + 1 then
			held.client, is_held = nil, false
			collectgarbage() collectgarbage()
		end
	end, "l")
	assert(client:call("achievements_all"))
	debug.sethook()
	equal(is_held, false)
	-- It was freed if its connection ends.
	local buffer = ffi.new("char[65536]")
	wait_for("the connection's end", function() return ffi.C.recv(connection, buffer, 65536, 0x40) == 0 end)
	ffi.C.close(connection)
	ffi.C.close(listening)
end)

-- shows: example
test("the_example_runs", function()
	local pipe = assert(io.popen(("TROPHY_API_KEY=%s TROPHY_BASE_URL=%s luajit example.lua 2>&1"):format(KEY, ready.url)))
	local text = pipe:read("*a")
	pipe:close()
	assert(text:find("streak: 1", 1, true) and text:find("undelivered: 0", 1, true), text)
end)

local client = open()
for _, case in ipairs(tests) do
	local ok, problem = xpcall(case[2], debug.traceback, client)
	if not ok then
		io.stderr:write("FAILED ", case[1], "\n", tostring(problem), "\n")
		os.exit(1)
	end
end
assert(client:close())
sandbox:close()
print(#tests .. " tests")
