// How an exception becomes a message, which `exception` in Rust takes.
#pragma once

#include <cstring>
#include <exception>

namespace incdec {

// Does something; gives null, or a message from malloc.
template <class Body>
char* guarded(Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    // c10's own errors, too. To name their type here would have binaries that never call this link libc10: the headers bring
    // static variables, whose constructors are kept everywhere, and with them what this file catches. Their backtrace
    // stands behind the first line.
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown kind");
  }
}

}  // namespace incdec
