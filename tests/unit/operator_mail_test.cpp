// The operator `mail` against a server that takes what it is sent and reads it as mail programs do.

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/counterpart.h"
#include "tests/unit/held_names.h"
#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

/// Takes from this thread what lets root read every file.
void give_up_reading_all() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};
  REQUIRE(::syscall(SYS_capget, &header, held) == 0);
  const std::uint32_t reading = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
  held[0].effective &= ~reading;
  held[0].permitted &= ~reading;
  REQUIRE(::syscall(SYS_capset, &header, held) == 0);
}

struct Fixture {
  Loop loop;
  ScratchFolder folder;
  Counterpart server{{"smtp", "--keep", folder.path()}};
  OperatorHost host{loop, "mail", "mail"};
  int mails = 0;

  Ask ask(const json& with) const {
    json all = {{"host", "127.0.0.1"},     {"port", std::stoi(server.port())},
                {"tls", "none"},           {"from", "Ops <ops@example.org>"},
                {"to", "one@example.org"}, {"subject", "Report"},
                {"text", "All is well.\n"}};
    all.merge_patch(with);
    Ask out;
    out.with = all.dump();
    out.working_dir = folder.path();
    return out;
  }
  End run(const json& with) { return host.run(ask(with)); }
  /// Turns the loop until it is so, as another process makes it.
  template <class Condition>
  bool come_true(Condition condition) {
    Timer timer(loop, [] {});
    return run_until(loop, [&] {
      timer.start_after(std::chrono::milliseconds(2));
      return condition();
    });
  }
  /// What arrived.
  json send(const json& with) {
    const End end = run(with);
    INFO(end.message);
    REQUIRE(end.outcome == PAWL_SUCCEEDED);
    std::ifstream file(folder / (std::to_string(++mails) + ".json"));
    return json::parse(file);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "mail arrives, once for each recipient, with what a mail needs") {
  const json got = send({{"to", {"One <one@example.org>", "two@example.org"}},
                         {"cc", "three@example.org"},
                         {"bcc", {"four@example.org"}},
                         {"reply_to", "desk@example.org"}});
  CHECK(got["sender"] == "MAIL FROM:<ops@example.org>");
  CHECK(got["recipients"] == json({"RCPT TO:<one@example.org>", "RCPT TO:<two@example.org>",
                                   "RCPT TO:<three@example.org>", "RCPT TO:<four@example.org>"}));
  const json& headers = got["headers"];
  CHECK(headers["from"] == "Ops <ops@example.org>");
  CHECK(headers["to"] == "One <one@example.org>, two@example.org");
  CHECK(headers["cc"] == "three@example.org");
  CHECK(headers["reply-to"] == "desk@example.org");
  CHECK(headers["subject"] == "Report");
  CHECK(headers["message-id"] == "<key-of-the-work@example.org>");
  CHECK(headers["mime-version"] == "1.0");
  CHECK(headers.contains("date"));
  CHECK_FALSE(headers.contains("bcc"));
  CHECK(got["raw"].get<std::string>().find("four@") == std::string::npos);
  CHECK(got["parts"][1]["text"] == "All is well.\r\n");
  CHECK(got["defects"].empty());
}

TEST_CASE_METHOD(Fixture, "text of any language arrives as it was written, in lines of ASCII") {
  const std::string subject =
      "Übersicht für März: läuft — 日本語の件名はとても長いので何度も折り返される必要があります";
  const std::string text = "Grüße.\n.\n..zwei Punkte\n" + std::string(2000, 'x') + "\nEnde\n";
  const json got =
      send({{"subject", subject}, {"from", "Jörg \"J\" <j@example.org>"}, {"text", text}});
  CHECK(got["headers"]["subject"] == subject);
  CHECK(got["headers"]["from"].get<std::string>().find("Jörg") != std::string::npos);
  CHECK(got["is_ascii"] == true);
  CHECK(got["longest_line"] <= 80);  // a boundary of libcurl
  std::string read = got["parts"][1]["text"];
  read.erase(std::remove(read.begin(), read.end(), '\r'), read.end());
  CHECK(read == text);
  CHECK(got["defects"].empty());
}

TEST_CASE_METHOD(Fixture, "mail carries HTML beside text, and files") {
  write_file(folder / "täglich.csv", "a,b\n1,ä\n");
  write_file(folder / "raw.bin", std::string("\0\1\2", 3));
  const json got = send({{"text", {"one", "two"}},
                         {"html", "<p>one</p>"},
                         {"attachments", {"täglich.csv", folder / "raw.bin"}}});
  const json& parts = got["parts"];
  REQUIRE(parts.size() == 6);
  CHECK(parts[0]["type"] == "multipart/mixed");
  CHECK(parts[1]["type"] == "multipart/alternative");
  CHECK(parts[2]["type"] == "text/plain");
  CHECK(parts[2]["text"] == "one\r\ntwo\r\n");
  CHECK(parts[3]["type"] == "text/html");
  CHECK(parts[4]["type"] == "text/csv");
  CHECK(parts[4]["filename"] == "täglich.csv");
  CHECK(parts[4]["text"] == "a,b\n1,ä\n");
  CHECK(parts[5]["type"] == "application/octet-stream");
  CHECK(parts[5]["text"] == std::string("\0\1\2", 3));
  CHECK(got["defects"].empty());
}

TEST_CASE_METHOD(Fixture, "mail whose file cannot be read is not sent without it") {
  write_file(folder / "secret.csv", "a,b\n");
  REQUIRE(::chmod((folder / "secret.csv").c_str(), 0) == 0);
  TestAttempt* attempt = nullptr;
  // The operator runs on a thread that begins with what this one is allowed.
  std::thread([&] {
    give_up_reading_all();
    attempt = &host.start(ask({{"attachments", {"secret.csv"}}}));
  }).join();
  REQUIRE(run_until(loop, [&] { return attempt->end().has_value(); }));
  CHECK(attempt->end()->outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(attempt->end()->message ==
        "`attachments`: " + (folder / "secret.csv") + " is not a file that can be read");
  CHECK_FALSE(std::filesystem::exists(folder / "1.json"));
}

TEST_CASE_METHOD(Fixture, "nothing that is put into mail can begin a line of its header") {
  // By the schema, as what a template becomes is, too, or by the operator.
  const auto refused = [this](const json& with) {
    if (host.violation(ask(with).with)) return;
    const End end = run(with);
    INFO(with.dump() << ": " << end.message);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "InvalidParameter");
  };
  refused({{"subject", "a\r\nBcc: evil@example.org"}});
  refused({{"subject", "a\nb"}});
  refused({{"from", "a\r\nX: 1 <a@example.org>"}});
  refused({{"to", "a@example.org\r\nRCPT TO:<evil@example.org>"}});
  refused({{"to", "a@example.org>,<evil@example.org"}});
  refused({{"cc", "a b@example.org"}});
  refused({{"to", "nobody"}});
  refused({{"host", "127.0.0.1/x"}});
  refused({{"host", "a\r\nb"}});
  refused({{"user", "a\r\nb"}, {"password", "c"}});
  refused({{"attachments", {"none.txt"}}});
}

TEST_CASE_METHOD(Fixture, "mail needs somebody to send it to") {
  const json mail = {{"host", "a"}, {"from", "a@example.org"}, {"subject", "s"}};
  const auto violation = [&](json with) {
    with.update(mail);
    return host.violation(with.dump()).value_or("");
  };
  CHECK(violation(json::object()) == R"("to", "cc" or "bcc" is missing)");
  CHECK_FALSE(violation({{"to", json::array()}}).empty());
  CHECK_FALSE(violation({{"to", ""}}).empty());
  CHECK_FALSE(violation({{"to", {"a@example.org", ""}}}).empty());
  CHECK_FALSE(violation({{"to", std::vector<std::string>(101, "a@example.org")}}).empty());
  CHECK_FALSE(violation({{"to", "a@example.org"}, {"connect_timeout", "0s"}}).empty());
  CHECK(violation({{"bcc", "b@example.org"}}).empty());
}

TEST_CASE_METHOD(Fixture, "the schema of mail takes the addresses that mail takes, and no others") {
  const auto violation = [&](const json& with) {
    return host.violation(ask(with).with).value_or("");
  };
  for (const char* address :
       {"a@b", " a@b\t", "Ops <ops@example.org>", "<ops@example.org>", "Jörg \"J\" <j@example.org>",
        "Ops, all of them; really <ops+x@[127.0.0.1]>", "o'p=s@ex-ample.org", "a@b@c"}) {
    INFO(address);
    for (const char* name : {"from", "to", "cc", "bcc", "reply_to"})
      CHECK(violation({{name, address}}).empty());
    CHECK(violation({{"to", {address}}}).empty());
  }
  for (const char* address : {"ops", "ops@", "@example.org", "a b@example.org", "a@b>", "<a@b",
                              "a\n <a@b>", "a@b, c@d", "ä@example.org", "x<y <a@b>"}) {
    INFO(address);
    for (const char* name : {"from", "to", "cc", "bcc", "reply_to"})
      CHECK_THAT(violation({{name, address}}), Catch::Contains("is no address such as"));
    CHECK_THAT(violation({{"to", {"a@b", address}}}), Catch::Contains("is no address such as"));
  }
  CHECK_THAT(violation({{"subject", "a\nb"}}), Catch::Contains("holds a line break"));
  CHECK(violation({{"subject", "a\tb: ü"}}).empty());
  CHECK_THAT(violation({{"ca_file", std::string("a\0b", 3)}}), Catch::Contains("zero byte"));
}

TEST_CASE_METHOD(Fixture,
                 "what the server refuses for now may be tried again, what it refuses not") {
  const End later = run({{"to", {"one@example.org", "later@example.org"}}});
  CHECK(later.outcome == PAWL_FAILED);
  CHECK(later.error_class == "Reply451");
  CHECK(later.message.ends_with("replied: 451 try again later"));
  const End refused = run({{"to", {"one@example.org", "refuse@example.org"}}});
  CHECK(refused.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(refused.error_class == "Reply550");
  CHECK_FALSE(std::filesystem::exists(folder / "1.json"));
  std::string gone;
  {
    const Counterpart other({"smtp"});
    gone = other.port();
  }
  const End silent = run({{"port", std::stoi(gone)}});
  CHECK(silent.outcome == PAWL_FAILED);
  CHECK(silent.error_class == "CouldntConnect");
}

TEST_CASE_METHOD(Fixture, "mail logs in, and a wrong password fails for good") {
  CHECK(send({{"user", "me"}, {"password", "open sesame"}})["user"] == "me");
  const End end = run({{"user", "me"}, {"password", "closed"}});
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.error_class == "LoginDenied");
  CHECK(end.message.find("closed") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "mail that is to log in is not sent where no login is offered") {
  const Counterpart open({"smtp", "--keep", folder.path(), "--no-login"});
  json with = {{"port", std::stoi(open.port())}, {"user", "me"}, {"password", "open sesame"}};
  const End end = run(with);
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.error_class == "LoginNotOffered");
  CHECK(end.message == "smtp://127.0.0.1:" + open.port() +
                           " offers no login (AUTH) to this connection, and `user` asks for one: "
                           "nothing was sent. Many servers offer it only over TLS (`tls`); for one "
                           "that needs no login leave out `user` and `password`");
  CHECK_FALSE(std::filesystem::exists(folder / "1.json"));
}

TEST_CASE_METHOD(Fixture, "a login of mail has a user and a password") {
  const auto violation = [&](const json& with) {
    return host.violation(ask(with).with).value_or("");
  };
  CHECK(violation({{"user", "me"}}) ==
        R"("user" and "password" belong together, and one of them is missing)");
  CHECK(violation({{"password", "open"}}) == violation({{"user", "me"}}));
  CHECK_FALSE(violation({{"user", ""}, {"password", "open"}}).empty());
  CHECK(violation({{"user", "me"}, {"password", "open"}}).empty());
}

TEST_CASE_METHOD(Fixture, "mail is not sent readable where TLS was asked for") {
  const End end = run({{"tls", "starttls"}});
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.error_class == "TlsRefused");
  CHECK_FALSE(std::filesystem::exists(folder / "1.json"));
}

TEST_CASE_METHOD(Fixture, "mail goes over TLS, on a plain connection and from the start") {
  const std::vector<std::string> files = make_certificate(folder);
  for (const std::string kind : {"starttls", "tls"}) {
    std::vector<std::string> arguments = {"smtp",  "--keep", folder.path(),
                                          "--tls", files[0], files[1]};
    if (kind == "tls") arguments.emplace_back("--implicit");
    const Counterpart secure(arguments);
    json with = {{"tls", kind}, {"port", std::stoi(secure.port())}};
    CHECK(run(with).error_class == "TlsCertificate");
    with["ca_file"] = "cert.pem";
    const End end = run(with);
    INFO(end.message);
    CHECK(end.outcome == PAWL_SUCCEEDED);
    std::ifstream file(folder / "1.json");
    CHECK(json::parse(file)["tls"] == true);
  }
}

TEST_CASE_METHOD(Fixture, "a mail that is cancelled while its server is looked up ends at once") {
  TestAttempt& attempt = host.start(ask({{"host", "mail.held"}}));
  held_names().wait_until_asked("mail.held");
  host.cancel(attempt);
  REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
  CHECK(attempt.end()->error_class == "Cancelled");
  held_names().let_go("mail.held");
}

TEST_CASE_METHOD(Fixture, "a cancelled mail ends at once wherever its server falls silent") {
  const std::vector<std::string> files = make_certificate(folder);
  struct Silence {
    std::vector<std::string> server;
    json with;
  };
  const json silent = {{"to", "silent@example.org"}};
  const json silent_under_tls = {
      {"to", "silent@example.org"}, {"tls", "starttls"}, {"ca_file", "cert.pem"}};
  for (const Silence& silence : {Silence{{}, silent}, Silence{{"--mute"}, json::object()},
                                 Silence{{"--tls", files[0], files[1]}, silent_under_tls},
                                 Silence{{}, {{"to", "unfriendly@example.org"}}}}) {
    INFO(silence.with.dump());
    const ScratchFolder seen;
    std::vector<std::string> arguments = {"smtp", "--keep", seen.path()};
    arguments.insert(arguments.end(), silence.server.begin(), silence.server.end());
    const Counterpart deaf(arguments);
    json with = silence.with;
    with["port"] = std::stoi(deaf.port());
    TestAttempt& attempt = host.start(ask(with));
    REQUIRE(come_true([&] { return std::filesystem::exists(seen / "silent"); }));
    const auto before = std::chrono::steady_clock::now();
    host.cancel(attempt);
    REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
    CHECK(std::chrono::steady_clock::now() - before < patient(std::chrono::milliseconds(500)));
    // What was taken is taken, although nobody said good-bye.
    const bool was_taken = std::filesystem::exists(seen / "1.json");
    CHECK(attempt.end()->error_class == (was_taken ? "" : "Cancelled"));
    CHECK(come_true([&] { return std::filesystem::exists(seen / "left"); }));
  }
}
