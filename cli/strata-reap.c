/* SPDX-License-Identifier: Apache-2.0 */
/* strata-reap: see engine/reaper.c. */
#include "engine/engine.h"

int main(int argc, char **argv)
{
	return reaper_main(argc, argv);
}
