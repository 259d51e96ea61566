// libtorch's headers name the handles of CUDA's mathematical libraries, whose own headers come in wheels of hundreds of
// megabytes. Nothing here looks into a handle, so declaring them is enough; where the true headers are there, they come first.
#pragma once

using cusparseHandle_t = struct cusparseContext*;
enum cusparseStatus_t : int;
