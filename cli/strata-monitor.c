/* SPDX-License-Identifier: Apache-2.0 */
/* strata-monitor: see engine/monitor.c. */
#include "engine/engine.h"

int main(int argc, char **argv)
{
	return monitor_main(argc, argv);
}
