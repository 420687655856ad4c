// Sends an event, enqueues another, and reads the streak that they made.
//
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.
#include <chrono>
#include <iostream>
#include <string>
#include <trophy.hpp>

using namespace std::chrono_literals;

static void run() {
  const trophy::Client client({}, trophy::Object{{"timeout_in_seconds", 10}});
  client.on_delivery([](const trophy::Delivery &delivery) {
    std::cout << "delivered " + delivery.idempotency_key() + "\n" << std::flush;
  });

  const auto reply = client.event(trophy::Event("words-written", trophy::User("18").name("Ada"), 750)
                                      .attributes({{"genre", "poem"}})
                                      .idempotency_key("chapter-1"));
  std::cout << "total " << reply->number("/total");
  for (int i = 0; i < reply->length("/achievements"); i++) {
    std::cout << ", " << reply->string("/achievements/" + std::to_string(i) + "/name");
  }
  std::cout << "\n";

  client.enqueue(trophy::Event("chapters-read", "18", 1).idempotency_key("chapter-1")).value();
  const trophy::Ending left = client.flush(10s).value();
  std::cout << "undelivered " << left.undelivered << "\n";

  // The same without exceptions: ask first.
  if (const auto streak = client.users_streak("18")) {
    std::cout << "streak " << streak->number("/length") << "\n";
  } else {
    std::cerr << streak.error().message() << "\n";
  }
}

int main() {
  try {
    run();
  } catch (const trophy::Error &error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
