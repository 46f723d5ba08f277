/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's index from a disk that lies. */
#include "tests/layer/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk_image(data, size);
	return 0;
}
