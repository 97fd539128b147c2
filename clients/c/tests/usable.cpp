// The header and the library from C++: compiled with all warnings, linked, and run without a server.
#include "tidegate.h"

#include <cstring>
#include <memory>

int main()
{
	std::unique_ptr<tg_config, decltype(&tg_config_free)> config(tg_config_new(), tg_config_free);
	tg_message message = TG_MESSAGE_INIT;
	tg_topic_spec spec = TG_TOPIC_SPEC_INIT;
	tg_client *client = nullptr;
	tg_error error;
	// Nobody listens on port 1.
	if (tg_config_set_endpoint(config.get(), "http://127.0.0.1:1") != TG_OK ||
		tg_config_set_endpoint(config.get(), "ftp://nowhere") != TG_ERR_INVALID_ARGUMENT) {
		return 1;
	}
	if (tg_connect(config.get(), &client, &error) != TG_ERR_CONNECTION || !error.retryable || client != nullptr) {
		return 2;
	}
	if (message.partition != -1 || spec.partitions != 1 || tg_partition_for_key("rafael", 6, 5) != 3) {
		return 3;
	}
	return std::strcmp(tg_version(), "0.1.0") == 0 && tg_compression_supported(TG_COMPRESSION_GZIP) ? 0 : 4;
}
