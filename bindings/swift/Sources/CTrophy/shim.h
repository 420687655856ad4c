#include <trophy.h>
