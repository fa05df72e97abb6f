// SPDX-License-Identifier: MIT
// Digests of what simdjson makes of a text, with each of the implementations that the processor has code for. All must be the same.
#include <cstdint>
#include <cstdio>
#include <simdjson.h>
#include <string>

static uint64_t digest = 1469598103934665603u;

static void add(const void *p, size_t len)
{
	for (const unsigned char *b = static_cast<const unsigned char *>(p); len; len--)
		digest = (digest ^ *b++) * 1099511628211u;
}

static void walk(simdjson::dom::element e)
{
	using simdjson::dom::element_type;
	int type = static_cast<int>(e.type());

	add(&type, sizeof type);
	switch (e.type()) {
	case element_type::ARRAY:
		for (auto x : simdjson::dom::array(e))
			walk(x);
		break;
	case element_type::OBJECT:
		for (auto x : simdjson::dom::object(e)) {
			add(x.key.data(), x.key.size());
			walk(x.value);
		}
		break;
	case element_type::STRING: {
		std::string_view s = e;
		add(s.data(), s.size());
		break;
	}
	case element_type::DOUBLE: {
		double d = e;
		add(&d, sizeof d);
		break;
	}
	case element_type::INT64: {
		int64_t i = e;
		add(&i, sizeof i);
		break;
	}
	default: break;
	}
}

static std::string text()
{
	std::string s = "[";
	uint64_t x = 1;

	for (int i = 0; i < 3000; i++) {
		char number[96];

		x = x * 6364136223846793005u + 1442695040888963407u;
		snprintf(number, sizeof number, "%s{\"n\": %lld, \"x\": %.17g, ", i ? ",\n " : "", (long long)x, (double)(int64_t)x / 3e9);
		s += number;
		s += "\"text\": \"" + std::string(x >> 58, 'a') + (i % 3 ? "\\u00e4\\n\\\"" : "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") + "\", \"list\": [true, null, [], {}]}";
	}
	return s + "]";
}

int main()
{
	std::string s = text(), bad = s;
	uint64_t first = 0;

	bad[s.find("\xe2\x82") + 1] = '\x28';
	for (auto implementation : simdjson::get_available_implementations()) {
		simdjson::dom::parser parser;
		std::string small(s.size(), '\0');
		size_t len = small.size();
		simdjson::dom::element root;

		if (!implementation->supported_by_runtime_system())
			continue;
		simdjson::get_active_implementation() = implementation;
		digest = 1469598103934665603u;
		if (parser.parse(s).get(root) || simdjson::minify(s.data(), s.size(), &small[0], len))
			return 1;
		walk(root);
		add(small.data(), len);
		if (!simdjson::validate_utf8(s.data(), s.size()) || simdjson::validate_utf8(bad.data(), bad.size()) ||
		    !parser.parse(bad).error() || (first && digest != first))
			return 1;
		first = digest;
		if (getenv("NAMES"))
			printf("%s\n", implementation->name().c_str());
	}
	printf("%016llx\n", (unsigned long long)first);
}
