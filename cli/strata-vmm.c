/* SPDX-License-Identifier: Apache-2.0 */
/* strata-vmm: see engine/vmm.c. */
#include "engine/engine.h"

int main(int argc, char **argv)
{
	return vmm_main(argc, argv);
}
