// The header in two translation units of one program, twice in each: nothing is defined twice.
// And after windows.h, which has these two macros; the standard library would take them away.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#include <trophy.hpp>
#include <trophy.hpp>

#if defined(HEADER_MAIN)
trophy::Json here();

int main() {
  const trophy::Json json = here();
  return trophy::version() == TROPHY_VERSION && json.number("/a") == 1 ? 0 : 1;
}
#else
trophy::Json here();

trophy::Json here() { return trophy::Object{{"a", 1}}; }
#endif
