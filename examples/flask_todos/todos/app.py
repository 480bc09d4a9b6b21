"""The service."""

import os

from flask import Flask, abort, jsonify, request, session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from todos.models import Account, Todo, db


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY", "for development")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    db.init_app(app)
    app.add_url_rule("/accounts", view_func=sign_up, methods=["POST"])
    app.add_url_rule("/account", view_func=sign_off, methods=["DELETE"])
    app.add_url_rule("/login", view_func=login, methods=["POST"])
    app.add_url_rule("/todos", view_func=todos)
    app.add_url_rule("/todos", view_func=add, methods=["POST"])
    app.add_url_rule("/todos/<int:number>/done", view_func=finish, methods=["POST"])
    return app


def sign_up():
    account = Account(name=request.json["name"], password=generate_password_hash(request.json["password"]))
    db.session.add(account)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409)
    return jsonify(id=account.id), 201


def login():
    account = db.session.scalar(select(Account).where(Account.name == request.json["name"]))
    if account is None or not check_password_hash(account.password, request.json["password"]):
        abort(401)
    session["account"] = account.id
    return "", 204


def sign_off():
    db.session.delete(_account())
    db.session.commit()
    session.clear()
    return "", 204


def todos():
    return jsonify([{"id": each.id, "text": each.text, "done": each.done} for each in _account().todos])


def add():
    todo = Todo(text=request.json["text"], account_id=_account().id)
    db.session.add(todo)
    db.session.commit()
    return jsonify(id=todo.id), 201


def finish(number: int):
    todo = db.session.get(Todo, number)
    if todo is None or todo.account_id != _account().id:
        abort(404)
    todo.done = True
    db.session.commit()
    return "", 204


def _account() -> Account:
    account = db.session.get(Account, session.get("account", 0))
    if account is None:
        abort(401)
    return account
