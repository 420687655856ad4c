// The header in two translation units of one program, twice in each: nothing is defined twice.
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
