# frozen_string_literal: true

# Sends an event, enqueues another, and reads the streak that they made.
#
# Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.

require "libtrophy"

begin
  Trophy::Client.open(timeout_in_seconds: 10) do |client|
    client.on_delivery { |delivery| puts "delivered #{delivery.idempotency_key}" }

    reply = client.event("words-written", { id: "18", name: "Ada" }, 750, idempotency_key: "chapter-1")
    puts "total #{reply[:total]}", reply[:achievements].map { |achievement| "achievement #{achievement[:name]}" }

    client.enqueue("chapters-read", "18", idempotency_key: "chapter-1")
    puts "undelivered #{client.flush(10)}"

    puts "streak #{client.streak("18")[:length]}"
  end
rescue Trophy::Error => error
  abort "#{error.code}: #{error.message}"
end
