/* SPDX-License-Identifier: Apache-2.0 */
/* strata-server: see engine/server.c. */
#include "engine/engine.h"

int main(int argc, char **argv)
{
	return server_main(argc, argv);
}
