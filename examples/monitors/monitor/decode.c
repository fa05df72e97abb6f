/* SPDX-License-Identifier: MIT */
/* Instructions of 32-bit code: how long they are, and their operands (SDM vol. 2, chapter 2 and appendix A). Without
 * 16-bit addresses, the x87 and vectors: for those decode() says that it does not know them. */
#include "monitor.h"

/* What follows an opcode. n: nothing, m: ModRM, b w z: an immediate of 8, 16, 16 or 32 bits, M Z: ModRM and one, t:
 * F6h and F7h, o: an address, f: a far address, e: ENTER. */
static const char one_byte[] =
	"mmmmbznn" "mmmmbzn." "mmmmbznn" "mmmmbznn" "mmmmbz.n" "mmmmbz.n" "mmmmbz.n" "mmmmbz.n"
	"nnnnnnnn" "nnnnnnnn" "nnnnnnnn" "nnnnnnnn" "nnmm...." "zZbMnnnn" "bbbbbbbb" "bbbbbbbb"
	"MZ.Mmmmm" "mmmmmmmm" "nnnnnnnn" "nnfnnnnn" "oooonnnn" "bznnnnnn" "bbbbbbbb" "zzzzzzzz"
	"MMwnmmMZ" "enwnnbnn" "mmmmbbnn" "........" "bbbbbbbb" "zzfbnnnn" ".n..nntt" "nnnnnnmm";
static const char two_bytes[] =
	"mmmm..n." "nn.n...." "........" "........" "mmmm...." "........" "nnnn...." "........"
	"mmmmmmmm" "mmmmmmmm" "........" "........" "........" "........" "........" "........"
	"zzzzzzzz" "zzzzzzzz" "mmmmmmmm" "mmmmmmmm" "nnnmMm.." "nn.mMmnm" "mmmmmmmm" "..Mmmmmm"
	"mm......" "nnnnnnnn" "........" "........" "........" "........" "........" "........";
enum { BYTES_MAX = 15 };

struct cursor { const u8 *at, *end; bool short_of; };

static u32 take(struct cursor *c, unsigned size)
{
	u32 value = 0;

	if ((unsigned)(c->end - c->at) < size) {
		c->short_of = true;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		value |= (u32)*c->at++ << 8 * i;
	return value;
}

static void take_modrm(struct cursor *c, struct insn *insn)
{
	u32 modrm = take(c, 1);

	insn->mod = modrm >> 6, insn->reg = modrm >> 3 & 7, insn->rm = modrm & 7;
	insn->memory = insn->mod != 3;
	if (!insn->memory)
		return;
	insn->base = insn->rm;
	if (insn->rm == 4) {
		u32 sib = take(c, 1);

		insn->base = sib & 7;
		insn->index = (sib >> 3 & 7) == 4 ? -1 : (int)(sib >> 3 & 7);
		insn->scale = sib >> 6;
	}
	if (insn->base == EBP && insn->mod == 0) {
		insn->base = -1;
		insn->displacement = take(c, 4);
	} else if (insn->mod == 1) {
		insn->displacement = (u32)(int8_t)take(c, 1);
	} else if (insn->mod == 2) {
		insn->displacement = take(c, 4);
	}
}

/* A prefix, or false. */
static bool take_prefix(u8 byte, struct insn *insn)
{
	switch (byte) {
	case 0x26: insn->segment = ES; return true;
	case 0x2e: insn->segment = CS; return true;
	case 0x36: insn->segment = SS; return true;
	case 0x3e: insn->segment = DS; return true;
	case 0x64: insn->segment = FS; return true;
	case 0x65: insn->segment = GS; return true;
	case 0x66: insn->size = 2; return true;
	case 0xf2: case 0xf3: insn->rep = byte; return true;
	case 0xf0: return true;
	default: return false;
	}
}

bool decode(const u8 *bytes, unsigned available, struct insn *insn)
{
	struct cursor c = { bytes, bytes + (available < BYTES_MAX ? available : BYTES_MAX), false };
	u8 byte;
	char kind;

	*insn = (struct insn){ .size = 4, .segment = SEGMENTS, .base = -1, .index = -1 };
	do
		byte = (u8)take(&c, 1);
	while (take_prefix(byte, insn) && !c.short_of);
	insn->op = byte;
	kind = one_byte[byte];
	if (byte == 0x0f) {
		byte = (u8)take(&c, 1);
		insn->op = 0x100 | byte;
		kind = two_bytes[byte];
	}
	if (kind == 'm' || kind == 'M' || kind == 'Z' || kind == 't')
		take_modrm(&c, insn);
	switch (kind) {
	case '.': return false;
	case 'b': case 'M': insn->immediate = (u32)(int8_t)take(&c, 1); break;
	case 'w': insn->immediate = take(&c, 2); break;
	case 'z': case 'Z': insn->immediate = take(&c, insn->size); break;
	case 't':
		if (insn->reg < 2)
			insn->immediate = take(&c, insn->op == 0xf6 ? 1 : insn->size);
		break;
	case 'o': insn->displacement = take(&c, 4), insn->memory = true; break;
	case 'f': insn->immediate = take(&c, insn->size), insn->selector = (u16)take(&c, 2); break;
	case 'e': insn->immediate = take(&c, 2), insn->reg = (u8)take(&c, 1); break;
	default: break;
	}
	insn->length = (u8)(c.at - bytes);
	return !c.short_of;
}

bool fetch(struct insn *insn)
{
	u32 linear = cpu.seg[CS].base + cpu.eip, access = cpl() == 3 ? ACCESS_USER : 0;
	const u8 *code = host_address(linear, access);
	u8 bytes[BYTES_MAX];

	if (code && decode(code, PAGE - linear % PAGE, insn))
		return true;
	if (PAGE - linear % PAGE >= BYTES_MAX)
		return false;
	for (unsigned i = 0; i < BYTES_MAX; i++) /* it goes on in the next page */
		bytes[i] = (u8)load(linear + i, 1, access);
	return decode(bytes, BYTES_MAX, insn);
}

const char *insn_name(const struct insn *insn)
{
	static const char *const group6[] = { "sldt", "str", "lldt", "ltr", "verr", "verw", "", "" };
	static const char *const group7[] = { "sgdt", "sidt", "lgdt", "lidt", "smsw", "", "lmsw", "invlpg" };

	switch (insn->op) {
	case 0x6c: case 0x6d: return "ins";
	case 0x6e: case 0x6f: return "outs";
	case 0x8c: case 0x8e: return "mov segment";
	case 0x06: case 0x0e: case 0x16: case 0x1e: case 0x1a0: case 0x1a8: return "push segment";
	case 0x07: case 0x17: case 0x1f: case 0x1a1: case 0x1a9: return "pop segment";
	case 0x9a: return "call far";
	case 0xea: return "jmp far";
	case 0xca: case 0xcb: return "ret far";
	case 0x9c: return "pushf";
	case 0x9d: return "popf";
	case 0xcc: case 0xcd: case 0xce: return "int";
	case 0xcf: return "iret";
	case 0xe4: case 0xe5: case 0xec: case 0xed: return "in";
	case 0xe6: case 0xe7: case 0xee: case 0xef: return "out";
	case 0xf4: return "hlt";
	case 0xfa: return "cli";
	case 0xfb: return "sti";
	case 0x100: return group6[insn->reg];
	case 0x101: return group7[insn->reg];
	case 0x102: return "lar";
	case 0x103: return "lsl";
	case 0x106: return "clts";
	case 0x120: case 0x122: return "mov cr";
	default: return "others";
	}
}
