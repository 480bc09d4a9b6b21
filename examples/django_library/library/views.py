"""The API."""

from django.db import IntegrityError, transaction
from rest_framework import serializers, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from library.models import Book, Loan


class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["id", "title", "copies"]


class Books(ModelViewSet):
    queryset = Book.objects.order_by("title")
    serializer_class = BookSerializer
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticatedOrReadOnly]

    @action(detail=True, methods=["post"])
    def borrow(self, request, pk):
        """Take a copy, if there is one on the shelf; the row lock makes sure that nobody else takes it."""
        try:
            with transaction.atomic():
                book = Book.objects.select_for_update().get(pk=pk)
                if Loan.objects.filter(book=book, returned=False).count() >= book.copies:
                    return Response({"detail": "all copies are out"}, status.HTTP_409_CONFLICT)
                Loan.objects.create(book=book, reader=request.user)
        except IntegrityError:
            return Response({"detail": "you have it"}, status.HTTP_409_CONFLICT)
        return Response(status=status.HTTP_201_CREATED)
