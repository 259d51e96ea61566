// NCCL behind the C interface of c10d.cpp: a group whose collectives take tensors that lie on GPUs.
//
// `.ci/nccl` makes a shared object of this alone, which is loaded where a GPU is computed on, so that an ordinary build needs
// neither CUDA nor NCCL. Without a GPU it is refused.

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <ATen/cuda/CUDAContext.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "../c10d/shared.h"

using namespace incdec;

namespace {

// How often the end of a collective is looked for: far less than a step takes.
constexpr std::chrono::microseconds kLookEvery(50);

// Whether the work has ended within the time. WorkNCCL::wait would not tell: it has the stream wait, and returns at once.
bool has_ended(c10d::Work& work, Milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (!work.isCompleted()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  if (const auto failure = work.exception()) std::rethrow_exception(failure);
  // What is computed from the tensors comes behind them on the stream.
  work.wait();
  return true;
}

}  // namespace

extern "C" {

// The 16 bytes that tell the GPU `device` from all others.
char* incdec_nccl_gpu(int device, uint8_t* uuid) {
  return guarded([&] { memcpy(uuid, at::cuda::getDeviceProperties(device)->uuid.bytes, 16); });
}

// An NCCL group over `store` whose tensors lie on the GPU `device`. Its connections are made here, by a first collective, so all
// ranks must come within the timeout.
char* incdec_nccl_open(void* store, int rank, int size, int device, int64_t timeout_ms, void** out) {
  return guarded([&] {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    // Who is slow and who is lost is told by beats, not by a clock.
    options->timeout = kPatience;
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(*static_cast<Store*>(store), rank, size, options);
    const auto place = at::TensorOptions().device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    std::vector<at::Tensor> inputs{at::zeros({1}, place)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int other = 0; other < size; ++other) outputs[0].push_back(at::zeros({1}, place));
    if (!has_ended(*group->allgather(outputs, inputs), Milliseconds(timeout_ms))) {
      group->abort();
      throw std::runtime_error("the GPUs did not hear of each other in time");
    }
    *out = new Group(std::move(group));
  });
}

// Waits for work at most so long; `done` says whether it has ended. An error means that it has failed.
char* incdec_nccl_wait(void* work, int64_t timeout_ms, int* done) {
  return guarded([&] { *done = has_ended(**static_cast<Work*>(work), Milliseconds(timeout_ms)) ? 1 : 0; });
}

// Ends the group and gives up what is pending: its kernels would wait for ever for a rank that is lost.
char* incdec_nccl_close(void* group) {
  return guarded([&] {
    const std::unique_ptr<Group> closed(static_cast<Group*>(group));
    (*closed)->abort();
  });
}

}  // extern "C"
