/* SPDX-License-Identifier: MIT */
/* Tiles (SDM vol. 1, chapter 18) and the disabling of state components, which is for them (13.14). */
#ifndef CPU_AMX_H
#define CPU_AMX_H

#include "cpu/cpu.h"

enum { TILES = 8, TILE_ROWS = 16, TILE_ROW = 64 /* bytes */ };

struct amx {
	u64 config[8];             /* as LDTILECFG loads it. All zeros: tiles are not configured. */
	u64 tiles[TILES * TILE_ROWS * TILE_ROW / 8];
	u64 xfd, xfd_err;
	char name[16];             /* of its part */
};

static inline u8 *tile_config(const struct cpu *c) { return (u8 *)c->amx->config; }
static inline u8 *tile_row(const struct cpu *c, unsigned tile, unsigned row)
{
	return (u8 *)c->amx->tiles + (tile * TILE_ROWS + row) * TILE_ROW;
}

bool amx_new(struct cpu *c); /* of a model that has neither: does nothing. False: out of memory. */
void amx_reset(struct cpu *c);
struct part amx_part(struct cpu *c);
bool tile_config_valid(const u8 from[64]); /* would LDTILECFG take it? */
/* The registers become those of FROM, which is valid. The tiles stay as they are. */
void tile_config_load(struct cpu *c, const u8 from[64]);
/* Are all components of STATES enabled in IA32_XFD? If not, #NM, and IA32_XFD_ERR says which are not. */
bool xfd_allows(struct cpu *c, u64 states);

#endif
