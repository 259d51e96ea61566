// The wheel ships c10d's headers without those of Gloo beneath them. c10d holds Gloo's objects by pointer alone, so declaring
// them is enough to compile against it; their code lies in libtorch_cpu.so.
#pragma once
