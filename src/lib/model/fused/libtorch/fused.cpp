// The fused operators as autograd functions, and the C functions through which Rust calls them.
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include <malloc.h>

#include <limits>
#include <string>

#include "../../../exception/guarded.h"
#include "fused_adam.h"
#include "fused_block_backward.h"
#include "fused_ends.h"

namespace incdec {

#if defined(__x86_64__)
namespace {

// The loops for the instructions that libtorch's own operators use, so that its ATEN_CPU_CAPABILITY
// governs ours, too.
template <class T>
const Kernels<T>& pick(const Kernels<T>& plain, const Kernels<T>& avx2, const Kernels<T>& avx512) {
  const std::string capability = at::get_cpu_capability();
  return capability == "AVX512" ? avx512 : capability == "AVX2" ? avx2 : plain;
}

}  // namespace

#define INCDEC_PICK(T) pick(T##_kernels_plain(), T##_kernels_avx2(), T##_kernels_avx512())
#else
#define INCDEC_PICK(T) T##_kernels_plain()
#endif

template <>
const Kernels<float>& kernels<float>() {
  static const Kernels<float>& table = INCDEC_PICK(float);
  return table;
}
template <>
const Kernels<double>& kernels<double>() {
  static const Kernels<double>& table = INCDEC_PICK(double);
  return table;
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Ints = std::vector<int64_t>;

enum Operator : int64_t { kStem = 0, kBlock = 1, kTail = 2 };

// Reads the numbers of a plan one after the other.
struct Reader {
  const Ints& numbers;
  size_t next = 0;
  long operator()() {
    TORCH_CHECK(next < numbers.size(), "the plan of a fused operator is too short");
    return numbers[next++];
  }
};

NormTensors norm_at(at::TensorList t, size_t affine, size_t running) {
  return {t[affine], t[affine + 1], t[running], t[running + 1]};
}

// How many tensors at the end of `count` are statistics of norms, which have no gradient: two a norm.
size_t statistics_of(int64_t op, size_t count) { return op == kBlock ? (count > 21 ? 8 : 6) : 2; }

// Which tensors are gradients' and which follow without: statistics are the last ones.
struct BlockCall {
  BlockPlan plan;
  BlockTensors tensors;
  size_t differentiable;
  bool checkpoint;
  BlockCall(at::TensorList t, const Ints& numbers, double epsilon) {
    Reader r{numbers};
    auto& p = plan;
    const auto size = t[0].sizes();
    p.n = size[0], p.t = size[1], p.h = size[2], p.w = size[3], p.in = size[4];
    p.mid = t[1].size(0), p.squeezed = t[7].size(0), p.out = t[11].size(0);
    p.frames_k = r(), p.k = r(), p.stride = r(), p.front = r(), p.top = r(), p.left = r(), p.out_h = r(), p.out_w = r();
    p.residual = r(), p.pools = r(), p.pool_top = r(), p.pool_left = r(), p.pool_counts_inside = r();
    p.rule = {r() != 0, epsilon};
    checkpoint = r();
    differentiable = p.residual ? 18 : 15;
    TORCH_CHECK(t.size() == differentiable + (p.residual ? 8 : 6), "a fused block got ", t.size(), " tensors");
    const size_t d = differentiable;
    tensors = {t[0],  t[1],  t[4],  t[7],
               t[8],  t[9],  t[10], t[11],
               t[14], p.residual ? t[15] : at::Tensor(), norm_at(t, 2, d), norm_at(t, 5, d + 2),
               norm_at(t, 12, d + 4), {}};
    if (p.residual) tensors.norm_r = norm_at(t, 16, d + 6);
  }
};

struct StemCall {
  StemPlan plan;
  NormTensors norm;
  StemCall(at::TensorList t, const Ints& numbers, double epsilon) {
    Reader r{numbers};
    auto& p = plan;
    const auto size = t[0].sizes();
    p.n = size[0], p.t = size[2], p.h = size[3], p.w = size[4], p.out = t[1].size(0);
    p.out_h = r(), p.out_w = r(), p.top = r(), p.left = r();
    p.rule = {r() != 0, epsilon};
    norm = norm_at(t, 2, 4);
  }
};

struct TailCall {
  TailPlan plan;
  NormTensors norm;
  TailCall(at::TensorList t, const Ints& numbers, double epsilon) {
    Reader r{numbers};
    const auto size = t[0].sizes();
    plan = {size[0], size[1] * size[2] * size[3], size[4], t[1].size(0), {r() != 0, epsilon}};
    norm = norm_at(t, 2, 4);
  }
};

// The autograd node of all three operators: `inputs` are the differentiable tensors and then the
// statistics of norms.
struct Fused : public Function<Fused> {
  static at::Tensor forward(AutogradContext* ctx, at::TensorList inputs, int64_t op, const Ints& plan, double epsilon) {
    ctx->saved_data["op"] = op;
    ctx->saved_data["plan"] = plan;
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["inputs"] = (int64_t)inputs.size();
    variable_list saved(inputs.begin(), inputs.end());
    at::Tensor out = inputs[0].scalar_type() == at::kDouble
                         ? run<double>(inputs, op, plan, epsilon, saved)
                         : run<float>(inputs, op, plan, epsilon, saved);
    // Running statistics move between here and the backward pass, which needs none.
    for (size_t i = inputs.size() - statistics_of(op, inputs.size()); i < inputs.size(); i++) saved[i] = at::Tensor();
    ctx->save_for_backward(saved);
    return out;
  }

  template <class T>
  static at::Tensor run(at::TensorList in, int64_t op, const Ints& plan, double epsilon, variable_list& saved) {
    if (op == kStem) {
      StemCall call(in, plan, epsilon);
      Stem<T> stem{call.plan, in[0], in[1], call.norm, {}, {}};
      at::Tensor out = stem.forward();
      saved.insert(saved.end(), {stem.use.stats, stem.y});
      return out;
    }
    if (op == kTail) {
      TailCall call(in, plan, epsilon);
      Tail<T> tail{call.plan, in[0], in[1], call.norm, {}, {}};
      at::Tensor out = tail.forward();
      saved.insert(saved.end(), {tail.use.stats, tail.y});
      return out;
    }
    BlockCall call(in, plan, epsilon);
    Block<T> block(call.plan, call.tensors);
    at::Tensor out = block.forward();
    saved.insert(saved.end(), {block.use1.stats, block.use2.stats, block.use3.stats, block.use_r.stats, block.gate,
                               block.mean, block.hidden});
    if (!call.checkpoint) saved.insert(saved.end(), {block.y1, block.y2, block.y3, block.yr, block.pooled});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const int64_t op = ctx->saved_data["op"].toInt(), count = ctx->saved_data["inputs"].toInt();
    const Ints plan = ctx->saved_data["plan"].toIntVector();
    const double epsilon = ctx->saved_data["epsilon"].toDouble();
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor grad = grads[0].contiguous();
    const bool needs_x = ctx->needs_input_grad(0);
    variable_list out = saved[0].scalar_type() == at::kDouble
                            ? back<double>(saved, count, grad, op, plan, epsilon, needs_x)
                            : back<float>(saved, count, grad, op, plan, epsilon, needs_x);
    // The statistics and the three other arguments have no gradient.
    out.resize(count + 3);
    return out;
  }

  template <class T>
  static variable_list back(const variable_list& saved, int64_t count, const at::Tensor& grad, int64_t op,
                            const Ints& plan, double epsilon, bool needs_x) {
    const at::TensorList in = at::TensorList(saved).slice(0, count);
    const auto use = [&](size_t i) { return NormUse<T>{saved[count + i], saved[count + i].size(1)}; };
    if (op == kStem) {
      TORCH_CHECK(!needs_x, "the fused stem gives no gradient of the clips");
      StemCall call(in, plan, epsilon);
      const Stem<T> stem{call.plan, in[0], in[1], call.norm, use(0), saved[count + 1]};
      variable_list out = stem.backward(grad);
      out.insert(out.begin(), at::Tensor());
      return out;
    }
    if (op == kTail) {
      TailCall call(in, plan, epsilon);
      const Tail<T> tail{call.plan, in[0], in[1], call.norm, use(0), saved[count + 1]};
      return tail.backward(grad, needs_x);
    }
    BlockCall call(in, plan, epsilon);
    Block<T> block(call.plan, call.tensors);
    block.use1 = use(0), block.use2 = use(1), block.use3 = use(2);
    if (call.plan.residual) block.use_r = use(3);
    block.gate = saved[count + 4], block.mean = saved[count + 5], block.hidden = saved[count + 6];
    if (call.checkpoint) {
      block.recompute();
    } else {
      block.y1 = saved[count + 7], block.y2 = saved[count + 8], block.y3 = saved[count + 9];
      block.yr = saved[count + 10], block.pooled = saved[count + 11];
    }
    return block.backward(grad, needs_x);
  }
};

// The pass without anything kept, for evaluation.
template <class T>
at::Tensor evaluate(at::TensorList in, int64_t op, const Ints& plan, double epsilon) {
  if (op == kStem) {
    StemCall call(in, plan, epsilon);
    return Stem<T>{call.plan, in[0], in[1], call.norm, {}, {}}.evaluate();
  }
  if (op == kTail) {
    TailCall call(in, plan, epsilon);
    return Tail<T>{call.plan, in[0], in[1], call.norm, {}, {}}.forward();
  }
  BlockCall call(in, plan, epsilon);
  return Block<T>(call.plan, call.tensors).evaluate();
}

at::Tensor call(std::vector<at::Tensor> tensors, int64_t op, const Ints& plan, bool batch_stats, double epsilon) {
  bool wanted = false;
  const size_t first_statistic = tensors.size() - statistics_of(op, tensors.size());
  for (size_t i = 0; i < tensors.size(); i++) {
    auto& t = tensors[i];
    // What a batch gives to running statistics is not rounded before it is added to them.
    const auto type = batch_stats && i >= first_statistic ? at::kDouble : tensors[0].scalar_type();
    TORCH_CHECK(t.device().is_cpu() && t.scalar_type() == type,
                "the tensors of a fused operator must lie on the CPU and be of one type");
    wanted = wanted || t.requires_grad();
    // The stem reads clips of any strides.
    if (op != kStem || i > 0) t = t.contiguous();
  }
  if (batch_stats || (wanted && at::GradMode::is_enabled()))
    return Fused::apply(at::TensorList(tensors), op, plan, epsilon);
  at::NoGradGuard guard;
  return tensors[0].scalar_type() == at::kDouble ? evaluate<double>(tensors, op, plan, epsilon)
                                                 : evaluate<float>(tensors, op, plan, epsilon);
}

}  // namespace
}  // namespace incdec

extern "C" {

// Runs a fused operator and sets *out, or gives a message.
char* incdec_fused(int64_t op, at::Tensor* const* tensors, size_t count, const int64_t* plan, size_t plan_size,
                   int32_t batch_stats, double epsilon, at::Tensor** out) {
  return incdec::guarded([&] {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (size_t i = 0; i < count; i++) list.push_back(*tensors[i]);
    *out = new at::Tensor(incdec::call(std::move(list), op, std::vector<int64_t>(plan, plan + plan_size),
                                       batch_stats != 0, epsilon));
  });
}

// What computes: libtorch's version, the instruction set of its own operators, that of the loops
// above, and the version of cuDNN, which is 0 without a GPU. The texts live as long as the process.
const char* incdec_libtorch_version(void) { return TORCH_VERSION; }
const char* incdec_libtorch_instructions(void) {
  static const std::string instructions = at::get_cpu_capability();
  return instructions.c_str();
}
const char* incdec_fused_instructions(void) { return incdec::kernels<float>().instructions; }
int64_t incdec_cudnn_version(void) {
  try {
    return at::hasCUDA() && at::globalContext().hasCuDNN() ? at::detail::getCUDAHooks().versionRuntimeCuDNN() : 0;
  } catch (const std::exception&) {
    return 0;
  }
}

// Most bytes of GPU `device` that tensors have held at once so far; 0 where there is no such GPU.
int64_t incdec_peak_gpu_bytes(int64_t device) {
  try {
    const auto stats = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  } catch (const std::exception&) {
    return 0;
  }
}

// Has the allocator keep what is freed for the next step, however much it is, instead of handing it
// back to the system: a step's activations are the next step's, and pages that come back must be
// cleared first (a tenth of the profile of steps of four clips, which free 1.7 GB at once). -1 is
// never.
void incdec_keep_memory(void) {
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
}

// New bytes in page-locked host memory, from which a GPU copies while the host goes on, as *out; or a
// message.
char* incdec_pinned_bytes(const int64_t* sizes, size_t count, at::Tensor** out) {
  return incdec::guarded([&] {
    const auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(true);
    *out = new at::Tensor(at::empty(at::IntArrayRef(sizes, count), options));
  });
}

// Has cuDNN's convolutions compute 32-bit floats as such (by default they round to 10 bits of
// mantissa) and the same bytes in every run.
void incdec_exact_convolutions(void) {
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
}
}
