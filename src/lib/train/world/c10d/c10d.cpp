// PyTorch's process groups behind a C interface: a store that all ranks share, a group over Gloo, and the collectives of any group.
//
// Every function catches every exception and gives its text, which is the caller's to free, or null where all went well.

#include <string>
#include <vector>

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "shared.h"

using namespace incdec;

namespace {

at::Tensor tensor(void* raw) { return *static_cast<at::Tensor*>(raw); }

}  // namespace

extern "C" {

// Connects to the store at host:port, which this process serves where `serves` is not 0.
char* incdec_store_open(const char* host, uint16_t port, int serves, size_t size, int64_t timeout_ms, void** out) {
  return guarded([&] {
    // What fails becomes a message of ours; c10d would print it beside that, with its stack.
    FLAGS_caffe2_log_level = c10::GLOG_FATAL;
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves != 0;
    options.numWorkers = size;
    // Who is there is asked of the ranks' own keys, so that those who are missing can be named.
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    *out = new Store(c10::make_intrusive<c10d::TCPStore>(host, options));
  });
}

// The same store with every key behind `prefix`.
char* incdec_store_prefixed(void* store, const char* prefix, void** out) {
  return guarded([&] { *out = new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, *static_cast<Store*>(store))); });
}

char* incdec_store_set(void* store, const char* key, const uint8_t* value, size_t size) {
  return guarded([&] { (*static_cast<Store*>(store))->set(key, std::vector<uint8_t>(value, value + size)); });
}

// The value of `key`, waited for; its bytes are the caller's to free.
char* incdec_store_get(void* store, const char* key, int64_t timeout_ms, uint8_t** value, size_t* size) {
  return guarded([&] {
    auto& shared = *static_cast<Store*>(store);
    shared->wait({key}, Milliseconds(timeout_ms));
    auto found = shared->get(key);
    *value = static_cast<uint8_t*>(malloc(found.size() + 1));
    if (*value == nullptr) throw std::bad_alloc();
    memcpy(*value, found.data(), found.size());
    *size = found.size();
  });
}

// Adds to the number at `key`, which begins at 0, and gives the sum.
char* incdec_store_add(void* store, const char* key, int64_t amount, int64_t* sum) {
  return guarded([&] { *sum = (*static_cast<Store*>(store))->add(key, amount); });
}

void incdec_store_close(void* store) { delete static_cast<Store*>(store); }

// A Gloo group over `store`. Its connections are made here, so all ranks must come within the timeout.
char* incdec_group_open(void* store, int rank, int size, const char* interface_host, int64_t timeout_ms, void** out) {
  return guarded([&] {
    auto options = c10d::ProcessGroupGloo::Options::create(Milliseconds(timeout_ms));
    options->devices.push_back(
        interface_host == nullptr ? c10d::ProcessGroupGloo::createDefaultDevice()
                                  : c10d::ProcessGroupGloo::createDeviceForHostname(interface_host));
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(*static_cast<Store*>(store), rank, size, options);
    // Connected. From here on who is slow and who is lost is told by beats, not by a clock.
    group->setTimeout(kPatience);
    *out = new Group(std::move(group));
  });
}

// Starts to gather `input` of every rank into `outputs`, one for each rank.
char* incdec_group_gather(void* group, void* input, void** outputs, size_t size, void** work) {
  return guarded([&] {
    std::vector<at::Tensor> inputs{tensor(input)};
    std::vector<std::vector<at::Tensor>> places(1);
    for (size_t rank = 0; rank < size; ++rank) places[0].push_back(tensor(outputs[rank]));
    *work = new Work((*static_cast<Group*>(group))->allgather(places, inputs));
  });
}

// Starts to send the tensor of rank `root` to all others.
char* incdec_group_broadcast(void* group, void* raw, int root, void** work) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{tensor(raw)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    *work = new Work((*static_cast<Group*>(group))->broadcast(tensors, options));
  });
}

// Waits for work at most so long; `done` says whether it has ended. An error means that it has failed.
char* incdec_work_wait(void* work, int64_t timeout_ms, int* done) {
  return guarded([&] {
    auto& running = *static_cast<Work*>(work);
    *done = 0;
    try {
      running->wait(Milliseconds(timeout_ms));
    } catch (...) {
      // An exception of work that goes on is that of the time alone. Of work that has ended meanwhile it may be, too.
      if (!running->isCompleted()) return;
      running->wait();
    }
    *done = 1;
  });
}

void incdec_work_close(void* work) { delete static_cast<Work*>(work); }

char* incdec_group_close(void* group) {
  return guarded([&] { delete static_cast<Group*>(group); });
}

}  // extern "C"
